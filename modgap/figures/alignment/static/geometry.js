// Where things stand. Cells are counted in speech positions (x) and text positions (y, downwards).

function layout(v, w, h, ctx) {
  ctx.font = v.font(12);
  const labels = v.d.head.labels;
  let widest = 40;
  for (let j = 0; j < labels.length; j += Math.ceil(labels.length / 400)) widest = Math.max(widest, ctx.measureText(labels[j]).width);
  const left = Math.round(Math.min(widest + 30, Math.max(84, w * 0.17))), right = 62, bottom = 40;
  const wave = v.d.envelope ? 46 : 0, top = wave + (wave ? 8 : 24);
  return { w, h, wave: { x: left, y: 2, w: w - left - right, h: wave },
    plot: { x: left, y: top, w: w - left - right, h: h - top - bottom },
    bar: { x: w - right + 12, y: top, w: 12, h: h - top - bottom } };
}

const xOf = (v, g, i) => g.plot.x + ((i - v.win.x0) / (v.win.x1 - v.win.x0)) * g.plot.w;
const yOf = (v, g, j) => g.plot.y + ((j - v.win.y0) / (v.win.y1 - v.win.y0)) * g.plot.h;
const iAt = (v, g, px) => v.win.x0 + ((px - g.plot.x) / g.plot.w) * (v.win.x1 - v.win.x0);
const jAt = (v, g, py) => v.win.y0 + ((py - g.plot.y) / g.plot.h) * (v.win.y1 - v.win.y0);

function cellAt(v, g, px, py) {
  const p = g.plot;
  if (px < p.x || px >= p.x + p.w || py < p.y || py >= p.y + p.h) return null;
  const { S, T } = v.d.head;
  return [clamp(Math.floor(iAt(v, g, px)), 0, S - 1), clamp(Math.floor(jAt(v, g, py)), 0, T - 1)];
}

// Seconds to (fractional) speech positions and back: positions need not be equally long.
function positionOf(d, t) {
  const { S } = d.head, s = d.times;
  let lo = 0, hi = S - 1;
  while (lo < hi) { const mid = (lo + hi + 1) >> 1; if (s[2 * mid] <= t) lo = mid; else hi = mid - 1; }
  const a = s[2 * lo], b = lo + 1 < S ? s[2 * lo + 2] : s[2 * lo + 1];
  return lo + (b > a ? (t - a) / (b - a) : 0);
}

function timeOf(d, x) {
  const { S } = d.head, i = clamp(Math.floor(x), 0, S - 1);
  const a = d.times[2 * i], b = i + 1 < S ? d.times[2 * i + 2] : d.times[2 * i + 1];
  return a + (x - i) * (b - a);
}

function setWindow(v, x0, x1, y0, y1) {
  const { S, T } = v.d.head;
  const fit = (a, b, n, least) => {
    const size = clamp(b - a, Math.min(n, least), n), from = clamp((a + b - size) / 2, 0, n - size);
    return [from, from + size];
  };
  const [a, b] = fit(x0, x1, S, 8), [c, e] = fit(y0, y1, T, 3);
  v.win = { x0: a, x1: b, y0: c, y1: e };
}

function zoom(v, factor, fx = 0.5, fy = 0.5) {
  const { x0, x1, y0, y1 } = v.win, cx = x0 + fx * (x1 - x0), cy = y0 + fy * (y1 - y0);
  setWindow(v, cx - (cx - x0) / factor, cx + (x1 - cx) / factor, cy - (cy - y0) / factor, cy + (y1 - cy) / factor);
}

function pan(v, di, dj) {
  const { x0, x1, y0, y1 } = v.win, { S, T } = v.d.head;
  const a = clamp(di, -x0, S - x1), b = clamp(dj, -y0, T - y1);
  v.win = { x0: x0 + a, x1: x1 + a, y0: y0 + b, y1: y1 + b };
}

function showCell(v, [i, j]) {
  const { x0, x1, y0, y1 } = v.win;
  pan(v, i < x0 ? i - x0 : i + 1 > x1 ? i + 1 - x1 : 0, j < y0 ? j - y0 : j + 1 > y1 ? j + 1 - y1 : 0);
}
