/* Where the bits went, over the video itself. data: {width, height, stride, rows, columns, times, duration, original,
   peak, unit, cells: base64 of uint8 frames x rows x columns, 255 * sqrt(value / peak)} */
const HEAT = [[13, 8, 60], [84, 15, 109], [159, 42, 99], [212, 72, 66], [245, 125, 21], [250, 193, 39], [252, 255, 164]];

function heatColor(share) {
  const place = Math.min(0.9999, Math.max(0, share)) * (HEAT.length - 1), low = Math.floor(place), rest = place - low;
  return HEAT[low].map((from, channel) => Math.round(from + (HEAT[low + 1][channel] - from) * rest));
}

MOUNT.heat = (root, data) => {
  const cells = Uint8Array.from(atob(data.cells), c => c.charCodeAt(0));
  const player = new Player(data.times, data.duration);
  const video = make("video", { "aria-label": "The clip under its heat map" });
  const canvas = make("canvas", { width: data.columns, height: data.rows });
  // The latent grid may reach beyond the picture: it is padded to whole cells.
  canvas.style.width = 100 * data.columns * data.stride / data.width + "%";
  canvas.style.height = 100 * data.rows * data.stride / data.height + "%";
  const stage = make("div", { class: "stage" }, make("div", { class: "half" }, video), canvas);
  stage.style.aspectRatio = `${data.width} / ${data.height}`;
  const context = canvas.getContext("2d"), image = context.createImageData(data.columns, data.rows);
  const size = data.rows * data.columns;
  player.listeners.push(index => {
    for (let cell = 0; cell < size; cell++) {
      const share = (cells[index * size + cell] / 255) ** 1.4;  // of the square root: (value / peak)^0.7
      image.data.set([...heatColor(share), 255 * (0.05 + 0.95 * share)], 4 * cell);
    }
    context.putImageData(image, 0, 0);
  });
  const strength = make("input", { type: "range", min: 0, max: 100, value: 85, "aria-label": "Strength of the heat map",
    oninput: () => { canvas.style.opacity = strength.value / 100; } });
  canvas.style.opacity = 0.85;
  const ramp = make("i");
  ramp.style.background = `linear-gradient(90deg, ${[0, 1, 2, 3, 4, 5, 6].map(k => `rgb(${heatColor(k / 6)})`).join(",")})`;
  const scale = make("div", { class: "scale" }, "0", ramp, `${+data.peak.toPrecision(2)} ${data.unit}`);
  player.use([video]);
  player.source(video, data.original);
  root.classList.add("heat");
  root.append(stage, transport(player), make("div", { class: "bar" }, scale, make("label", { class: "grow" }, "Overlay", strength)));
  player.seek(data.start);
};
