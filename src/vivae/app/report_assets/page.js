/* Brings every piece of the page to life; charts first, so that they hear the slider's first choice. */
for (const kind of ["chart", "heat", "slider", "film", "source"])
  for (const root of document.querySelectorAll(`[data-piece="${kind}"]`))
    MOUNT[kind](root, JSON.parse(root.querySelector("script").textContent));

document.querySelectorAll("tr[data-media]").forEach(row => {
  const watch = () => {
    document.dispatchEvent(new CustomEvent("vivae:watch", { detail: row.dataset.media }));
    document.querySelector('[data-piece="slider"]').scrollIntoView({ behavior: "smooth", block: "center" });
  };
  row.addEventListener("click", watch);
  row.addEventListener("keydown", event => { if (event.key === "Enter") watch(); });
});
document.addEventListener("vivae:choice", event => {
  document.querySelectorAll("tr[data-media]").forEach(row => row.classList.toggle("on", row.dataset.media === event.detail.media));
});
