// All layers at a glance; painted a few per frame, so that the page stays quick with many layers.

function buildThumbs(v, box, pick) {
  box.replaceChildren();
  v.thumbs = v.d.head.layers.map((layer, k) => {
    const b = document.createElement('button'), canvas = document.createElement('canvas'), row = document.createElement('span');
    const name = document.createElement('span'), aps = document.createElement('span');
    b.type = 'button'; b.setAttribute('role', 'radio'); b.dataset.layer = layer; row.className = 'row';
    canvas.setAttribute('aria-hidden', 'true');
    name.textContent = layer === 0 ? '0 emb.' : String(layer);
    row.append(name, aps); b.append(canvas, row); box.append(b);
    b.onclick = () => pick(k);
    return { b, canvas, aps };
  });
  box.onkeydown = (e) => {
    const step = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[e.key];
    if (!step) return;
    e.preventDefault(); pick(clamp(v.k + step, 0, v.d.head.K - 1)); v.thumbs[v.k].b.focus();
  };
}

// Rows as even as they can be, each picture at least 92 pixels wide.
function gridThumbs(v, width) {
  const K = v.d.head.K, most = Math.max(1, Math.floor((width + 6) / 98)), cols = Math.ceil(K / Math.ceil(K / most));
  v.q('.thumbs').style.gridTemplateColumns = `repeat(${cols}, minmax(0, 1fr))`;
}

function paintThumbs(v) {
  const mine = (v.thumbRun = (v.thumbRun || 0) + 1), spare = document.createElement('canvas'), lut = v.lut();
  let k = 0;
  const some = () => {
    if (v.thumbRun !== mine) return;
    const stop = performance.now() + 8;
    for (; k < v.thumbs.length && performance.now() < stop; k++) {
      const c = v.thumbs[k].canvas, r = c.getBoundingClientRect();
      c.width = Math.max(1, Math.round((r.width || 90) * v.dpr)); c.height = Math.max(1, Math.round((r.height || 40) * v.dpr));
      const g = c.getContext('2d');
      g.imageSmoothingEnabled = v.d.head.S > c.width; g.imageSmoothingQuality = 'medium';
      g.drawImage(layerImage(v.d, v.measure, k, lut, spare), 0, 0, c.width, c.height);
    }
    if (k < v.thumbs.length) requestAnimationFrame(some);
  };
  some();
  const digits = v.measure === 'cosine' ? 2 : Math.min(2, stepDigits(v.d.head.scale));
  v.thumbs.forEach((t, n) => {
    const aps = v.d.head.scores.aps[v.measure][n], text = aps === null ? '' : signed(aps, digits);
    t.aps.textContent = text;
    t.b.setAttribute('aria-label', `Layer ${layerName(v.d.head.layers[n])}, APS ${text || 'undefined'}`);
    t.b.title = `Layer ${layerName(v.d.head.layers[n])}, APS ${text || 'undefined'}`;
  });
}

function markThumb(v) {
  v.thumbs.forEach((t, n) => { t.b.setAttribute('aria-checked', String(n === v.k)); t.b.tabIndex = n === v.k ? 0 : -1; });
}
