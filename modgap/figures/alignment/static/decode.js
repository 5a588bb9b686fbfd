// The payload: uint32 length of the head, the head (JSON), then the sections the head lists.

function readHead(u8) {
  const n = new DataView(u8.buffer, u8.byteOffset, 4).getUint32(0, true);
  return { head: JSON.parse(new TextDecoder().decode(u8.subarray(4, 4 + n))), base: 4 + n };
}

function decode(u8) {
  const { head, base } = readHead(u8);
  const part = (name) => {
    const at = head.sections[name];
    return at ? u8.subarray(base + at[0], base + at[0] + at[1]) : null;
  };
  // The block may start at any address, so that wider numbers are copied; the matrices are not.
  const int8 = (name) => { const b = part(name); return b && new Int8Array(b.buffer, b.byteOffset, b.length); };
  const wide = (name, Type) => new Type(part(name).slice().buffer);
  const luts = part('luts');
  const d = {
    head, audio: part('audio'), envelope: int8('envelope'), times: wide('times', Float32Array),
    matrix: { cosine: int8('cosine'), euclidean: int8('euclidean') },
    luts: [0, 1, 2].map((k) => Uint32Array.from({ length: 255 }, (_, q) => {
      const p = 3 * (255 * k + q);
      return ((255 << 24) | (luts[p + 2] << 16) | (luts[p + 1] << 8) | luts[p]) >>> 0;
    })),
    argmax: {}, pair: {}, exact: {}, dtw: {},
  };
  for (const m of ['cosine', 'euclidean']) {
    d.argmax[m] = wide('argmax_' + m, Int32Array);
    d.pair[m] = wide('pair_' + m, Int32Array);
    for (const kind of ['argmax', 'pair']) for (const s of ['S', 'D']) {
      d.exact[kind + m + s] = wide(kind + '_' + m + '_' + s, Float32Array);
    }
    const all = wide('dtw_' + m, Int32Array), ends = wide('dtw_ends_' + m, Int32Array);
    d.dtw[m] = Array.from(ends, (end, k) => all.subarray(k ? 2 * ends[k - 1] : 0, 2 * end));
  }
  return d;
}

// What is known of cell (i, j) of layer index k: exact where a path's pair says so, else to 8 bits.
function cellValues(d, k, i, j) {
  const { S, T, scale } = d.head, q = k * S * T + i * T + j, p = k * T + j;
  const out = { s: d.matrix.cosine[q] / 127, d: ((d.matrix.euclidean[q] + 127) / 254) * scale, exact: false };
  for (const m of ['cosine', 'euclidean']) for (const [kind, at] of [['argmax', d.argmax[m]], ['pair', d.pair[m]]]) {
    if (at[p] === i) { out.s = d.exact[kind + m + 'S'][p]; out.d = d.exact[kind + m + 'D'][p]; out.exact = true; }
  }
  return out;
}

function onDtw(d, measure, k, i, j) {
  const path = d.dtw[measure][k];
  for (let p = 0; p < path.length; p += 2) if (path[p] === i && path[p + 1] === j) return true;
  return false;
}
