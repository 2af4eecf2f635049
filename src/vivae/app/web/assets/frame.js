/* A page inside the workbench is as high as what it shows. */
if (window.frameElement) {
  document.documentElement.classList.add("framed");
  const fit = () => { frameElement.style.height = Math.ceil(document.body.getBoundingClientRect().height) + "px"; };
  new ResizeObserver(fit).observe(document.body);
  fit();
}
