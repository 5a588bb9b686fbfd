// Drawing, on three canvases: the frame (wave, axes, colour bar), the map (cells and paths), and
// what moves. A layer change repaints the map alone; the saved picture is frame and map.

// One layer as an image of S x T pixels, speech to the right and text downwards.
function layerImage(d, measure, k, lut, canvas) {
  const { S, T } = d.head, Z = d.matrix[measure], from = k * S * T;
  if (canvas.width !== S || canvas.height !== T) { canvas.width = S; canvas.height = T; }
  const g = canvas.getContext('2d'), img = g.createImageData(S, T), px = new Uint32Array(img.data.buffer);
  for (let i = 0; i < S; i++) for (let j = 0, q = from + i * T; j < T; j++, q++) px[j * S + i] = lut[Z[q] + 127];
  g.putImageData(img, 0, 0);
  return canvas;
}

function paintMap(v, g, c) {
  const { plot: p } = g, { win } = v;
  c.clearRect(0, 0, g.w, g.h);
  c.imageSmoothingEnabled = (win.x1 - win.x0) > p.w * v.dpr || (win.y1 - win.y0) > p.h * v.dpr;
  c.drawImage(v.image, win.x0, win.y0, win.x1 - win.x0, win.y1 - win.y0, p.x, p.y, p.w, p.h);
  c.save(); c.beginPath(); c.rect(p.x, p.y, p.w, p.h); c.clip();
  if (v.paths.has('words')) paintWords(v, g, c);
  if (v.paths.has('dtw')) paintDtw(v, g, c);
  if (v.paths.has('argmax')) paintArgmax(v, g, c);
  paintMarks(v, g, c);
  if (v.cell) {
    const [i, j] = v.cell, x = xOf(v, g, i), y = yOf(v, g, j), w = Math.max(5, xOf(v, g, i + 1) - x), h = Math.max(5, yOf(v, g, j + 1) - y);
    for (const [lw, col] of [[4, '#111'], [2, '#fff']]) { c.lineWidth = lw; c.strokeStyle = col; c.strokeRect(x - 1, y - 1, w + 2, h + 2); }
  }
  c.restore();
}

// When each word is said: a box over its text tokens, from its first moment to its last.
function paintWords(v, g, c) {
  const { plot: p } = g;
  for (const [start, end, j, last] of v.words || []) {
    const [x, x1] = [start, end].map((t) => Math.round(xOf(v, g, positionOf(v.d, t)))), [y, y1] = [j, last + 1].map((r) => Math.round(yOf(v, g, r)));
    const w = Math.max(2, x1 - x), h = y1 - y;
    if (x > p.x + p.w || x + w < p.x || y > p.y + p.h || y + h < p.y) continue;
    for (const [lw, col] of [[4, '#111'], [2, WORDS]]) { c.lineWidth = lw; c.strokeStyle = col; c.strokeRect(x, y + 1, w, Math.max(2, h - 2)); }
  }
}
const WORDS = '#39d0ff';

// Cells that stand out: a ring that is seen on any colour and is wider than a cell.
function paintMarks(v, g, c) {
  for (const [i, j] of v.marks) {
    const x = xOf(v, g, i + 0.5), y = yOf(v, g, j + 0.5), r = clamp(yOf(v, g, j + 1) - yOf(v, g, j), 12, 22) / 2;
    for (const [lw, col] of [[4.5, '#111'], [2.4, '#ff5cc8']]) { c.lineWidth = lw; c.strokeStyle = col; c.beginPath(); c.arc(x, y, r, 0, 7); c.stroke(); }
  }
}

function paintFrame(v, g, c) {
  const p = g.plot;
  c.clearRect(0, 0, g.w, g.h);
  c.lineWidth = 1; c.strokeStyle = v.ink.axis; c.strokeRect(p.x - 0.5, p.y - 0.5, p.w + 1, p.h + 1);
  paintWave(v, g, c); paintTimeAxis(v, g, c); paintWordAxis(v, g, c); paintBar(v, g, c);
}

function paintDtw(v, g, c) {
  const path = v.d.dtw[v.measure][v.k];
  c.beginPath();
  for (let n = 0; n < path.length; n += 2) c.lineTo(xOf(v, g, path[n] + 0.5), yOf(v, g, path[n + 1] + 0.5));
  c.lineJoin = 'round'; c.lineCap = 'round';
  for (const [lw, col] of [[4.4, '#111'], [1.9, '#fff']]) { c.lineWidth = lw; c.strokeStyle = col; c.stroke(); }
  c.lineCap = 'butt'; c.lineJoin = 'miter';
}

function paintArgmax(v, g, c) {
  const { T } = v.d.head, at = v.d.argmax[v.measure], { win } = v;
  const r = clamp((g.plot.h / (win.y1 - win.y0)) * 0.32, 1.9, 4.4);
  c.fillStyle = '#f0e442'; c.strokeStyle = '#111'; c.lineWidth = r < 2.5 ? 0.9 : 1.4;
  for (let j = Math.max(0, Math.floor(win.y0) - 1); j < Math.min(T, win.y1 + 1); j++) {
    c.beginPath(); c.arc(xOf(v, g, at[v.k * T + j] + 0.5), yOf(v, g, j + 0.5), r, 0, 7); c.fill(); c.stroke();
  }
}

function paintWave(v, g, c) {
  const env = v.d.envelope, a = g.wave;
  if (!env) return;
  const bins = env.length / 2, per = bins / v.d.head.seconds, mid = a.y + a.h / 2;
  c.fillStyle = v.ink.wave;
  for (let x = 0; x < a.w; x += 0.5) {
    const at = (px) => clamp(timeOf(v.d, iAt(v, g, a.x + px)) * per, 0, bins);
    const from = Math.floor(at(x)), to = Math.max(from + 1, Math.ceil(at(x + 0.5)));
    let lo = 0, hi = 0;
    for (let b = from; b < to && b < bins; b++) { lo = Math.min(lo, env[2 * b]); hi = Math.max(hi, env[2 * b + 1]); }
    const y0 = mid - (hi / 127) * (a.h / 2), y1 = mid - (lo / 127) * (a.h / 2);
    c.fillRect(a.x + x, y0, 0.5, Math.max(0.8, y1 - y0));
  }
  c.fillStyle = v.ink.muted; c.font = v.font(12); c.textAlign = 'right'; c.textBaseline = 'middle';
  c.fillText('speech', a.x - 10, mid);
}

function paintTimeAxis(v, g, c) {
  const { plot: p } = g, y = p.y + p.h, lo = timeOf(v.d, v.win.x0), hi = timeOf(v.d, v.win.x1);
  const ticks = niceTicks(lo, hi, p.w / 78);
  c.strokeStyle = v.ink.axis; c.fillStyle = v.ink.text; c.font = v.font(12); c.textAlign = 'center'; c.textBaseline = 'top'; c.lineWidth = 1;
  c.beginPath();
  for (const t of ticks.at) {
    const x = Math.round(xOf(v, g, positionOf(v.d, t))) + 0.5;
    if (x < p.x - 1 || x > p.x + p.w + 1) continue;
    c.moveTo(x, y + 1); c.lineTo(x, y + 5);
    c.fillText(t.toFixed(ticks.digits), x, y + 8);
  }
  c.stroke();
  c.fillStyle = v.ink.muted; c.fillText('speech time (s)', p.x + p.w / 2, y + 24);
}

function clipText(c, text, width) {
  if (c.measureText(text).width <= width) return text;
  const chars = Array.from(text);
  let n = chars.length;
  while (n > 1 && c.measureText(chars.slice(0, n).join('') + '\u2026').width > width) n--;
  return chars.slice(0, n).join('') + '\u2026';
}

function paintWordAxis(v, g, c) {
  const { plot: p } = g, { T, labels } = v.d.head, { win } = v, row = p.h / (win.y1 - win.y0);
  const size = clamp(Math.floor(row) - 1, 11, 13), every = Math.max(1, Math.ceil((size + 2) / row));
  c.font = v.font(size); c.textAlign = 'right'; c.textBaseline = 'middle'; c.fillStyle = v.ink.text; c.strokeStyle = v.ink.axis; c.lineWidth = 1;
  c.beginPath();
  for (let j = Math.ceil(Math.max(0, win.y0 - 0.5) / every) * every; j < Math.min(T, win.y1); j += every) {
    const y = yOf(v, g, j + 0.5);
    if (y < p.y - 1 || y > p.y + p.h + 1) continue;
    c.moveTo(p.x - 5, Math.round(y) + 0.5); c.lineTo(p.x - 1, Math.round(y) + 0.5);
    c.fillText(clipText(c, labels[j], p.x - 24), p.x - 9, y);
  }
  c.stroke();
  c.save(); c.translate(9, p.y + p.h / 2); c.rotate(-Math.PI / 2);
  c.font = v.font(12); c.fillStyle = v.ink.muted; c.textAlign = 'center';
  c.fillText(every > 1 ? `text tokens (every ${ordinal(every)} named)` : 'text tokens', 0, 0); c.restore();
}

const ordinal = (n) => n + (n % 10 === 2 && n !== 12 ? 'nd' : n % 10 === 3 && n !== 13 ? 'rd' : n % 10 === 1 && n !== 11 ? 'st' : 'th');

function paintBar(v, g, c) {
  const b = g.bar, lut = v.lut(), cos = v.measure === 'cosine', top = cos ? 1 : v.d.head.scale, low = cos ? -1 : 0;
  const strip = document.createElement('canvas'); strip.width = 1; strip.height = 255;
  const s = strip.getContext('2d'), img = s.createImageData(1, 255);
  new Uint32Array(img.data.buffer).set(lut.slice().reverse()); s.putImageData(img, 0, 0);
  c.drawImage(strip, b.x, b.y, b.w, b.h);
  c.strokeStyle = v.ink.axis; c.lineWidth = 1; c.strokeRect(b.x - 0.5, b.y - 0.5, b.w + 1, b.h + 1);
  const ticks = niceTicks(low, top, 4), at = ticks.at.map((t) => [t, signed(t, ticks.digits)]);
  if (!cos) {
    const room = (13 / b.h) * top; // the upper end has no round number: it is named as it is
    while (at.length && top - at[at.length - 1][0] < room) at.pop();
    at.push([top, top.toFixed(stepDigits(top))]);
  }
  c.fillStyle = v.ink.text; c.font = v.font(11); c.textAlign = 'left'; c.textBaseline = 'middle';
  c.beginPath();
  for (const [t, text] of at) {
    const y = Math.round(b.y + (1 - (t - low) / (top - low)) * b.h) + 0.5;
    c.moveTo(b.x + b.w + 1, y); c.lineTo(b.x + b.w + 4, y);
    c.fillText(text, b.x + b.w + 7, y);
  }
  c.stroke();
  c.fillStyle = v.ink.muted; c.font = v.font(12); c.textBaseline = 'alphabetic'; c.textAlign = 'left';
  c.fillText(cos ? 'cosine' : 'distance', b.x - 1, b.y - 10);
}

// A label that stands out over what the base canvas has written there.
function tag(v, c, text, x, y, align) {
  c.font = v.font(12, 600);
  const w = c.measureText(text).width + 10, left = align === 'right' ? x - w + 5 : x - w / 2;
  c.fillStyle = v.ink.primary; c.beginPath(); c.roundRect(left, y - 9, w, 18, 4); c.fill();
  c.fillStyle = v.ink.page; c.textAlign = 'left'; c.textBaseline = 'middle'; c.fillText(text, left + 5, y + 0.5);
}

// The key to the paths, for the saved picture: written leftwards from x; its width is returned.
function pathKey(v, c, x, y) {
  const from = x;
  c.font = v.font(12); c.textAlign = 'right'; c.textBaseline = 'middle';
  for (const kind of ['words', 'dtw', 'argmax']) if (v.paths.has(kind) && (kind !== 'words' || v.words)) {
    const text = kind === 'words' ? 'word' : kind === 'dtw' ? 'DTW path' : v.measure === 'cosine' ? 'argmax path' : 'argmin path';
    c.fillStyle = v.ink.text; c.fillText(text, x, y);
    x -= c.measureText(text).width + 8;
    if (kind === 'words') {
      for (const [lw, col] of [[3.6, '#111'], [1.8, WORDS]]) { c.lineWidth = lw; c.strokeStyle = col; c.strokeRect(x - 20, y - 5, 18, 10); }
      x -= 36;
    } else if (kind === 'dtw') {
      c.beginPath(); c.moveTo(x - 22, y); c.lineTo(x, y);
      for (const [lw, col] of [[4.4, '#111'], [1.9, '#fff']]) { c.lineWidth = lw; c.strokeStyle = col; c.stroke(); }
      x -= 38;
    } else {
      c.fillStyle = '#f0e442'; c.strokeStyle = '#111'; c.lineWidth = 1.4; c.beginPath(); c.arc(x - 4, y, 4, 0, 7); c.fill(); c.stroke();
      x -= 24;
    }
  }
  return from - x;
}

// What moves: the pointer's cross, the box being drawn, the sound's place.
function paintOver(v, g, c) {
  const p = g.plot, top = g.wave.h ? g.wave.y : p.y;
  c.clearRect(0, 0, g.w, g.h);
  if (v.hover && !v.box) {
    const [i, j] = v.hover, x = xOf(v, g, i), y = yOf(v, g, j), w = Math.max(1, xOf(v, g, i + 1) - x), h = Math.max(1, yOf(v, g, j + 1) - y);
    c.save(); c.beginPath(); c.rect(p.x, top, p.w, p.y + p.h - top); c.clip();
    c.fillStyle = v.ink.cross; c.fillRect(x, top, w, p.y + p.h - top); c.fillRect(p.x, y, p.w, h); c.restore();
    c.font = v.font(12, 600);
    tag(v, c, clipText(c, v.d.head.labels[j], p.x - 24), p.x - 9, clamp(y + h / 2, p.y + 9, p.y + p.h - 9), 'right');
    tag(v, c, v.d.times[2 * i].toFixed(2), clamp(x + w / 2, p.x + 16, p.x + p.w - 16), p.y + p.h + 14, 'center');
  }
  if (v.box) {
    const [ax, ay, bx, by] = v.box;
    c.strokeStyle = v.ink.primary; c.lineWidth = 1.5; c.setLineDash([5, 3]); c.strokeRect(ax, ay, bx - ax, by - ay); c.setLineDash([]);
  }
  if (v.d.audio) {
    const x = xOf(v, g, positionOf(v.d, v.audio.currentTime));
    if (x >= p.x - 1 && x <= p.x + p.w + 1 && (v.audio.currentTime > 0 || !v.audio.paused)) {
      c.fillStyle = '#111'; c.fillRect(x - 1.75, top, 3.5, p.y + p.h - top);
      c.fillStyle = '#39d98a'; c.fillRect(x - 0.75, top, 1.5, p.y + p.h - top);
    }
  }
}
