"use strict";
(() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  const plots = [...document.querySelectorAll("svg.plot")], box = document.getElementById("readout");
  if (!data.t.length || !plots.length || !box) return;
  const end = +plots[0].dataset.end, whole = [0, end], least = Math.min(end, 0.5);
  const first = new Map(plots.map(plot => [plot, plot.innerHTML]));
  const LETTER = 6.6, STEPS = [0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10800, 21600,
    43200, 86400, 604800, 2419200];
  let view = whole;

  // --- words ---
  const two = n => String(n).padStart(2, "0");
  const clock = t => {
    const tenths = Math.round(t * 10), s = Math.floor(tenths / 10), part = tenths % 10 ? `.${tenths % 10}` : "";
    const rest = `${two(Math.floor(s / 60) % 60)}:${two(s % 60)}${part}`;
    return s >= 3600 ? `${Math.floor(s / 3600)}:${rest}` : rest.replace(/^0/, "");
  };
  const utc = t => new Date(data.wall + 1000 * Math.round(t)).toISOString().slice(11, 19);
  const last = (rows, t) => rows.reduce((seen, row) => (row[0] <= t ? row[1] : seen), "");
  const fitting = (words, room) => {
    const letters = Math.floor(room / LETTER);
    return words.length <= letters ? words : letters >= 4 ? words.slice(0, letters - 1).trimEnd() + "…" : "";
  };

  // --- a closer look: the parts say by data-a and data-b from when to when they are ---
  const at = plot => t => +plot.dataset.left + (t - view[0]) / (view[1] - view[0]) * (plot.dataset.right - plot.dataset.left);
  const axis = plot => {
    const d = plot.dataset, x = at(plot), foot = +d.foot, span = view[1] - view[0];
    const step = STEPS.find(s => span / s <= d.most) || STEPS[STEPS.length - 1], out = [];
    for (let i = Math.ceil(view[0] / step - 1e-9); i * step <= view[1] + 1e-9; i++) {
      const t = i * step, px = Math.max(+d.left, x(t)), near = px > d.right - 26, anchor = near ? "end" : px < +d.left + 20 ? "start" : "middle";
      const words = (y, kind, text) => `<text x="${near ? d.right : px}" y="${foot + y}" class="tick${kind}" text-anchor="${anchor}">${text}</text>`;
      out.push(`<path class="axis" d="M${px} ${foot}v4"/>`, words(15, "", clock(t)));
      if (step >= 1) out.push(words(29, " dim", utc(t)));
    }
    const line = `<path class="axis" d="M${d.left} ${foot}H${d.right}"/>`, unit = (y, text) => `<text x="4" y="${y}" class="tick dim">${text}</text>`;
    plot.querySelector(".times").innerHTML = line + out.join("") + unit(foot + 15, "m:s") + unit(foot + 29, "UTC");
  };
  const label = (text, x, l, r) => {
    const words = text.dataset.w, width = words.length * LETTER, start = Math.max(l, x(+text.dataset.a));
    let begin = start + 4;
    for (const mark of [text.dataset.dot, text.dataset.bound])  // that would stand in the words
      if (mark && x(+mark) > l - 5 && x(+mark) < r && x(+mark) - 5 < begin + width) begin = Math.max(begin, x(+mark) + 8);
    const left = begin + width > r && (width <= start - 8 - l || start - l > r - begin);
    text.setAttribute("x", left ? start - 7 : begin);
    text.setAttribute("text-anchor", left ? "end" : "start");
    text.textContent = fitting(words, left ? start - 8 - l : r - begin);
  };
  const place = (part, plot) => {
    const x = at(plot), l = +plot.dataset.left, r = +plot.dataset.right, a = +part.dataset.a, b = +part.dataset.b;
    const reaches = Math.max(b, +(part.dataset.last || b));
    part.setAttribute("display", reaches < view[0] || a > view[1] ? "none" : "inline");
    const from = Math.max(l, x(a)), to = Math.min(r, x(b));
    if (part.localName === "rect") {
      part.setAttribute("display", b < view[0] || a > view[1] ? "none" : "inline");
      part.setAttribute("x", from);
      part.setAttribute("width", Math.max(1.5, to - from));
    } else if (part.localName === "circle") part.setAttribute("cx", from);
    else if (part.localName === "path")
      part.setAttribute("d", part.getAttribute("d").replace(/^M[-\d.]+ ([-\d.]+)(?:H[-\d.]+(.*))?/, (_, y, tick) =>
        tick === undefined ? `M${from} ${y}` : `M${from} ${y}H${to}${x(b) > r ? "" : tick}`));
    else if (part.classList.contains("name")) label(part, x, l, r);
    else {
      part.setAttribute("x", (from + to) / 2);
      if (part.dataset.w) part.textContent = fitting(part.dataset.w, to - from - 8);
    }
  };
  const flags = plot => {
    let taken = -100;
    for (const flag of plot.querySelectorAll("circle.flag")) {
      if (flag.getAttribute("display") === "none") continue;
      const px = +flag.getAttribute("cx"), crowded = px - taken < 18;
      if (crowded) for (const part of [flag, flag.nextElementSibling]) part.setAttribute("display", "none"); else taken = px;
    }
  };
  const draw = () => {
    const all = view[0] <= 0 && view[1] >= end;
    for (const plot of plots) {
      plot.innerHTML = first.get(plot);
      if (all) continue;
      const win = plot.querySelector("svg.win"), l = +plot.dataset.left, width = plot.dataset.right - l;
      if (win) win.setAttribute("viewBox", `${l + view[0] / end * width} 0 ${width * (view[1] - view[0]) / end} ${plot.dataset.foot}`);
      for (const part of plot.querySelectorAll("[data-a]")) place(part, plot);
      flags(plot);
      axis(plot);
    }
    document.getElementById("stretch").textContent = all ? `whole run, ${clock(end)}` : `${clock(view[0])} to ${clock(view[1])}`;
    document.getElementById("zoom").classList.toggle("closer", !all);
  };

  // --- whoever asks for it; the place is in the address, so that it can be sent to somebody and the way back works ---
  const go = (from, to) => {
    const span = Math.min(end, Math.max(least, to - from)), middle = (from + to) / 2;
    const begin = Math.min(end - span, Math.max(0, middle - span / 2));
    location.hash = span >= end ? "" : `t=${+begin.toFixed(2)},${+(begin + span).toFixed(2)}`;
  };
  const read = () => {
    const found = /^#t=([\d.]+),([\d.]+)$/.exec(location.hash), to = found ? Math.min(end, +found[2]) : 0;
    view = found && to - found[1] > 0 ? [+found[1], to] : whole;
    draw();
  };
  const scaled = by => { const m = (view[0] + view[1]) / 2, h = (view[1] - view[0]) / 2 * by; go(m - h, m + h); };
  const moved = by => { const d = (view[1] - view[0]) * by; go(view[0] + d, view[1] + d); };
  const asked = { all: () => go(0, end), in: () => scaled(0.5), out: () => scaled(2), back: () => moved(-0.5), on: () => moved(0.5) };
  const bar = document.getElementById("zoom");
  bar.hidden = false;
  for (const button of bar.querySelectorAll("button")) button.addEventListener("click", asked[button.name]);
  addEventListener("hashchange", read);

  // --- the pointer ---
  const nearest = t => {
    let low = 0, high = data.t.length - 1;
    while (high - low > 1) { const mid = (low + high) >> 1; if (data.t[mid] <= t) low = mid; else high = mid; }
    return t - data.t[low] > data.t[high] - t ? high : low;
  };
  const pointed = (event, plot) => {
    const d = plot.dataset, rect = plot.getBoundingClientRect();
    const px = (event.clientX - rect.left) / rect.width * plot.viewBox.baseVal.width;
    return view[0] + Math.min(1, Math.max(0, (px - d.left) / (d.right - d.left))) * (view[1] - view[0]);
  };
  const show = event => {
    const i = nearest(pointed(event, event.currentTarget)), t = data.t[i];
    for (const plot of plots) {
      const line = plot.querySelector(".cursor");
      line.setAttribute("visibility", t < view[0] || t > view[1] ? "hidden" : "visible");
      line.setAttribute("transform", `translate(${at(plot)(t)} 0)`);
    }
    const parts = Object.entries(data.rows).filter(([, v]) => v[i] !== null).map(([name, v]) =>
      `${name} ${v[i].toLocaleString("en")} ${["SoC", "BMS says", "reserve"].includes(name) ? "%" : "W"}`);
    box.textContent = [`${clock(t)} (${utc(t)} UTC)`, last(data.modes, t) || "no agent", ...parts].join("  ·  ");
    box.hidden = false;
  };
  let drag = null;
  const shade = (plot, a, b) => {
    let rect = plot.querySelector(".select");
    if (!rect) {
      rect = document.createElementNS(plot.namespaceURI, "rect");
      rect.setAttribute("class", "select");
      plot.append(rect);
    }
    const x = at(plot), from = x(Math.min(a, b));
    for (const [name, value] of Object.entries({ x: from, y: 0, width: x(Math.max(a, b)) - from, height: plot.dataset.foot })) rect.setAttribute(name, value);
  };
  for (const plot of plots) {
    plot.addEventListener("pointermove", event => {
      show(event);
      if (drag && drag.plot === plot && Math.abs(event.clientX - drag.x) > 6) shade(plot, drag.t, pointed(event, plot));
    });
    plot.addEventListener("pointerdown", event => {
      if (event.button) return;
      drag = { plot, x: event.clientX, t: pointed(event, plot), part: event.target };
      plot.setPointerCapture(event.pointerId);
    });
    plot.addEventListener("pointerup", event => {
      if (!drag) return;
      const { x, t, part } = drag, to = pointed(event, plot), wide = Math.abs(event.clientX - x) > 6;
      drag = null;
      if (wide) return go(Math.min(t, to), Math.max(t, to));
      if (part.localName !== "rect" || !part.dataset.a) return;
      const a = +part.dataset.a, b = +part.dataset.b, air = Math.max(2, 0.15 * (b - a));
      go(a - air, b + air);
    });
    plot.addEventListener("pointercancel", () => { drag = null; draw(); });
    plot.addEventListener("dblclick", () => go(0, end));
  }
  read();
})();
