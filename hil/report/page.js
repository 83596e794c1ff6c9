"use strict";
(() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  const plots = [...document.querySelectorAll("svg.plot")], box = document.getElementById("readout");
  if (!data.t.length || !box) return;
  const two = n => String(n).padStart(2, "0");
  const clock = t => `${Math.floor(t / 60)}:${two(Math.floor(t % 60))}`;
  const last = (rows, t) => rows.reduce((seen, row) => (row[0] <= t ? row[1] : seen), "");
  const nearest = t => {
    let low = 0, high = data.t.length - 1;
    while (high - low > 1) { const mid = (low + high) >> 1; if (data.t[mid] <= t) low = mid; else high = mid; }
    return t - data.t[low] > data.t[high] - t ? high : low;
  };
  const show = event => {
    const svg = event.currentTarget, d = svg.dataset, rect = svg.getBoundingClientRect();
    const px = (event.clientX - rect.left) / rect.width * svg.viewBox.baseVal.width;
    const share = Math.min(1, Math.max(0, (px - d.left) / (d.right - d.left)));
    const i = nearest(share * d.end), t = data.t[i];
    for (const plot of plots) {
      const line = plot.querySelector(".cursor"), p = plot.dataset;
      line.setAttribute("visibility", "visible");
      line.setAttribute("transform", `translate(${+p.left + t / p.end * (p.right - p.left)} 0)`);
    }
    const utc = new Date(data.wall + 1000 * t).toISOString().slice(11, 19);
    const parts = Object.entries(data.rows).filter(([, v]) => v[i] !== null).map(([name, v]) =>
      `${name} ${v[i].toLocaleString("en")} ${["SoC", "BMS says", "reserve"].includes(name) ? "%" : "W"}`);
    box.textContent = [`${clock(t)} (${utc} UTC)`, last(data.modes, t) || "no agent", ...parts].join("  ·  ");
    box.hidden = false;
  };
  for (const plot of plots) plot.addEventListener("pointermove", show);
})();
