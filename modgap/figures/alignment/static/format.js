// Numbers, tokens and ticks as text.

const MINUS = '\u2212';
const signed = (x, digits) => (x < 0 && +x.toFixed(digits) !== 0 ? MINUS : '') + Math.abs(x).toFixed(digits);
const clamp = (x, lo, hi) => Math.min(hi, Math.max(lo, x));

// Digits that show the step of an 8-bit distance, and no more.
const stepDigits = (scale) => clamp(Math.ceil(-Math.log10(scale / 254)), 0, 6);

function niceTicks(lo, hi, count) {
  const raw = (hi - lo) / Math.max(1, count), mag = 10 ** Math.floor(Math.log10(raw));
  const step = [1, 2, 5, 10].map((m) => m * mag).find((s) => s >= raw * 0.999) || mag;
  const digits = clamp(-Math.floor(Math.log10(step) + 1e-9), 0, 4), out = [];
  for (let n = Math.ceil(lo / step - 1e-9); n * step <= hi + 1e-9 * step; n++) out.push(n * step);
  return { step, digits, at: out };
}

const layerName = (n) => (n === 0 ? '0 (embeddings)' : String(n));

function describeCell(v, cell) {
  const { d, k, measure } = v, h = d.head, [i, j] = cell;
  const x = cellValues(d, k, i, j), on = [];
  if (d.argmax[measure][k * h.T + j] === i) on.push(measure === 'cosine' ? 'argmax' : 'argmin');
  if (onDtw(d, measure, k, i, j)) on.push('DTW');
  const eq = x.exact ? ' = ' : ' \u2248 ';
  const digits = x.exact ? Math.max(3, stepDigits(h.scale) + 1) : stepDigits(h.scale);
  return `${d.times[2 * i].toFixed(2)}\u2013${d.times[2 * i + 1].toFixed(2)} s \u2194 \u201c${h.pieces[j].replace(/\n/g, '\u23CE')}\u201d (token ${j})`
    + ` \u00b7 S${eq}${signed(x.s, x.exact ? 4 : 2)} \u00b7 D${eq}${x.d.toFixed(digits)}`
    + ` \u00b7 ${on.length ? 'on the ' + on.join(' and ') + (on.length > 1 ? ' paths' : ' path') : 'off both paths'} \u00b7 layer ${h.layers[k]}`;
}

function describeScores(v) {
  const { scores } = v.d.head, m = v.measure, k = v.k, digits = m === 'cosine' ? 3 : Math.max(2, stepDigits(v.d.head.scale));
  const say = (x, n) => (x === null ? 'undefined' : signed(x, n));
  const sign = m === 'cosine' ? 'cos' : 'euc';
  return [[`APS ${sign}`, say(scores.aps[m][k], digits)], ['on DTW', say(scores.aps_dtw[m][k], digits)],
    ['monotonicity \u03c1', say(scores.monotonicity[m][k], 3)]];
}
