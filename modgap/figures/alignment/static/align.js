// The map with its controls, in a root that a mount has filled with align.html. `wire` tells the
// other side: setStateValue(name, value) what is shown, setTriggerValue('cell', cell) a click.

class View {
  constructor(root, d, wire) {
    const q = (s) => root.querySelector(s), start = d.head.start;
    Object.assign(this, { root, d, wire, q, k: start.layer, measure: start.measure, paths: new Set(start.paths), cell: start.cell, marks: start.marks, words: start.words, hover: null, box: null, image: document.createElement('canvas'), timer: 0, dpr: 1 });
    setWindow(this, 0, d.head.S, 0, d.head.T);
    this.stack = q('.stack'); this.audio = q('audio');
    this.player = new Player(this, this.audio, d.audio, () => { this.over(); this.transport(); });
    for (const s of ['play', 'loop']) q('.' + s).disabled = !d.audio;
    q('.speed select').disabled = !d.audio;
    q('.clock').title = d.audio ? '' : 'This run was kept without its sound.';
    const slider = q('.slider');
    slider.max = d.head.K - 1;
    slider.oninput = () => this.layer(+slider.value, false);
    slider.onchange = () => this.tellLayer();
    root.querySelectorAll('[data-measure]').forEach((b) => { b.onclick = () => this.setMeasure(b.dataset.measure); });
    root.querySelectorAll('[data-path]').forEach((b) => { b.onclick = () => this.path(b.dataset.path); });
    const acts = {
      'layer-': () => this.layer(this.k - 1), 'layer+': () => this.layer(this.k + 1), 'zoom+': () => this.zoomBy(1.6), 'zoom-': () => this.zoomBy(1 / 1.6),
      reset: () => this.reset(), png: () => this.png(), play: () => this.player.toggle(), loop: () => this.loop(),
    };
    root.querySelectorAll('[data-act]').forEach((b) => { b.onclick = acts[b.dataset.act]; });
    q('.speed select').onchange = (e) => { this.audio.playbackRate = +e.target.value; };
    listen(this, this.stack, {
      repaint: () => this.paint(), over: () => this.over(), hover: (c) => this.point(c), choose: (c, o) => this.choose(c, o),
      playFrom: (t) => d.audio && this.player.playFrom(t), toggle: () => d.audio && this.player.toggle(), stop: () => this.player.stop(),
      layer: (k) => this.layer(k), zoom: (f) => this.zoomBy(f), reset: () => this.reset(), measure: (m) => this.setMeasure(m), path: (p) => this.path(p), loop: () => this.loop(),
    });
    buildThumbs(this, q('.thumbs'), (k) => this.layer(k));
    // The probe's colours follow the page theme with a transition, whose end tells of the change.
    q('.probe').ontransitionend = () => { this.theme(); this.refresh(true); };
    this.watch = new ResizeObserver(() => this.resize());
    this.watch.observe(this.stack);
    this.theme(); this.size(); this.refresh(true); this.transport(); this.tellCell();
    q('.mg').dataset.ready = 'yes';
  }

  font(size, weight = 400) { return `${weight} ${size}px ${this.ink.family}`; }

  theme() {
    const s = getComputedStyle(this.q('.probe')), line = getComputedStyle(this.q('.probe').parentElement);
    const rgb = (c) => { const g = document.createElement('canvas').getContext('2d', { willReadFrequently: true }); g.fillStyle = c; g.fillRect(0, 0, 1, 1); return g.getImageData(0, 0, 1, 1).data; };
    const t = rgb(s.color), p = rgb(s.backgroundColor), mix = (a) => `rgb(${[0, 1, 2].map((n) => Math.round(p[n] + (t[n] - p[n]) * a)).join(',')})`;
    this.dark = 0.3 * p[0] + 0.59 * p[1] + 0.11 * p[2] < 128;
    this.ink = { text: s.color, page: s.backgroundColor, muted: mix(0.62), axis: mix(0.4), wave: mix(0.55), cross: this.dark ? 'rgba(255,255,255,.16)' : 'rgba(0,0,0,.12)',
      primary: line.getPropertyValue('--st-primary-color').trim() || '#0b5cad', family: line.fontFamily || 'sans-serif' };
  }

  lut() { return this.d.luts[this.measure === 'euclidean' ? 2 : this.dark ? 1 : 0]; }

  size() {
    const T = this.d.head.T, wave = this.d.envelope ? 54 : 24;
    this.stack.style.height = clamp(T * 15, 220, 470) + wave + 40 + 'px';
    this.resize();
  }

  resize() {
    const r = this.stack.getBoundingClientRect();
    if (r.width < 50) return;
    this.dpr = window.devicePixelRatio || 1; this.framed = '';
    for (const s of ['.frame', '.base', '.over']) { const c = this.q(s); c.width = Math.round(r.width * this.dpr); c.height = Math.round(r.height * this.dpr); }
    this.g = layout(this, r.width, r.height, this.q('.base').getContext('2d'));
    this.paint();
    if (Math.abs((this.thumbWidth || 0) - r.width) > 1) { this.thumbWidth = r.width; gridThumbs(this, r.width); paintThumbs(this); }
  }

  refresh(thumbs) {
    layerImage(this.d, this.measure, this.k, this.lut(), this.image);
    this.paint(); this.controls();
    if (thumbs) paintThumbs(this);
    markThumb(this);
  }

  paint() {
    if (!this.g || !this.image.width) return;
    const w = this.win, key = [this.g.w, this.g.h, this.dpr, w.x0, w.x1, w.y0, w.y1, this.measure, this.ink.text].join();
    const on = (name) => { const c = this.q(name).getContext('2d'); c.setTransform(this.dpr, 0, 0, this.dpr, 0, 0); return c; };
    if (key !== this.framed) { this.framed = key; paintFrame(this, this.g, on('.frame')); }
    paintMap(this, this.g, on('.base'));
    this.over();
  }

  over() {
    if (!this.g) return;
    const c = this.q('.over').getContext('2d');
    c.setTransform(this.dpr, 0, 0, this.dpr, 0, 0);
    paintOver(this, this.g, c);
  }

  controls() {
    const { head } = this.d, layer = head.layers[this.k], q = this.q;
    const s = q('.slider'); s.value = this.k; s.setAttribute('aria-valuetext', 'layer ' + layerName(layer));
    q('.lv').textContent = `${layer} / ${head.layers[head.K - 1]}`;
    q('[data-act="layer-"]').disabled = this.k === 0; q('[data-act="layer+"]').disabled = this.k === head.K - 1;
    const euc = this.measure === 'euclidean';
    q('[data-path="words"]').hidden = !this.words;
    q('.an').textContent = euc ? 'Argmin' : 'Argmax';
    this.root.querySelectorAll('[data-measure]').forEach((b) => b.setAttribute('aria-checked', String(b.dataset.measure === this.measure)));
    this.root.querySelectorAll('[data-path]').forEach((b) => b.setAttribute('aria-pressed', String(this.paths.has(b.dataset.path))));
    q('.scores').hidden = this.d.head.start.scores === false;
    q('.scores').replaceChildren(...describeScores(this).map(([name, value]) => {
      const span = document.createElement('span'), b = document.createElement('b');
      b.textContent = value; span.append(name + ' ', b); return span;
    }));
    this.stack.setAttribute('aria-label', `${euc ? 'Euclidean distance' : 'Cosine similarity'} of ${head.S} speech positions (left to right) and ${head.T} text tokens (top to bottom), layer ${layerName(layer)}. Arrow keys move the cell, Enter plays it.`);
    this.tellCell();
  }

  transport() {
    const { audio, d, q } = this, playing = !audio.paused;
    q('.play').textContent = playing ? '❚❚' : '▶';
    q('.play').setAttribute('aria-label', playing ? 'Pause' : 'Play');
    q('.clock').textContent = d.audio ? `${audio.currentTime.toFixed(2)} / ${d.head.seconds.toFixed(2)} s` : 'no sound kept with this run';
  }

  layer(k, tell = true) {
    k = clamp(k, 0, this.d.head.K - 1);
    if (k !== this.k) { this.k = k; this.refresh(false); this.point(this.hover); }
    if (tell) { clearTimeout(this.timer); this.timer = setTimeout(() => this.tellLayer(), 250); }
  }

  // Told once a change has come to rest; until then the server hears nothing.
  tellLayer() {
    const n = this.d.head.layers[this.k];
    clearTimeout(this.timer);
    if (n !== this.told) { this.told = n; this.wire.setStateValue('layer', n); }
  }

  setMeasure(m) { if (m === this.measure) return; this.measure = m; this.refresh(true); this.point(this.hover); this.wire.setStateValue('measure', m); }

  path(p) {
    if (!this.paths.delete(p)) this.paths.add(p);
    this.paint(); this.controls(); this.wire.setStateValue('paths', ['argmax', 'dtw', 'words'].filter((x) => this.paths.has(x)));
  }

  loop() { const on = (this.player.loop = !this.player.loop); this.q('.loop').setAttribute('aria-pressed', String(on)); }

  zoomBy(f) {
    const w = this.win, c = this.cell, inside = c && c[0] >= w.x0 && c[0] < w.x1 && c[1] >= w.y0 && c[1] < w.y1;
    zoom(this, f, inside ? (c[0] + 0.5 - w.x0) / (w.x1 - w.x0) : 0.5, inside ? (c[1] + 0.5 - w.y0) / (w.y1 - w.y0) : 0.5); this.paint();
  }

  said(words) { if (JSON.stringify(words) !== JSON.stringify(this.words)) { this.words = words; this.paint(); this.controls(); } }

  mark(marks) { if (JSON.stringify(marks) !== JSON.stringify(this.marks)) { this.marks = marks; this.paint(); } }

  reset() { setWindow(this, 0, this.d.head.S, 0, this.d.head.T); this.paint(); }

  point(cell) {
    this.hover = cell;
    this.q('.point').textContent = cell ? describeCell(this, cell) : '';
    this.over();
  }

  choose(cell, { play, on, tell }) {
    this.cell = cell; showCell(this, cell); this.paint(); this.tellCell();
    const t = this.d.times;
    if (play && this.d.audio) { if (on) this.player.playFrom(t[2 * cell[0]]); else this.player.moment(t[2 * cell[0]], t[2 * cell[0] + 1] + CONTEXT); }
    if (tell) this.wire.setTriggerValue('cell', { layer: this.d.head.layers[this.k], i: cell[0], j: cell[1] });
  }

  tellCell() {
    const text = this.cell ? describeCell(this, this.cell) : 'No cell yet: click one to hear it, or move with the arrow keys.';
    if (this.q('.status').textContent !== text) this.q('.status').textContent = text;
  }

  png() {
    const scale = 2, head = 34, g = this.g, out = document.createElement('canvas');
    out.width = g.w * scale; out.height = (g.h + head) * scale;
    const c = out.getContext('2d'), bodies = [paintFrame, paintMap].map((draw) => {
      const body = document.createElement('canvas'), b = body.getContext('2d');
      body.width = g.w * scale; body.height = g.h * scale; b.scale(scale, scale); draw(this, g, b);
      return body;
    });
    c.scale(scale, scale); c.fillStyle = this.ink.page; c.fillRect(0, 0, g.w, g.h + head);
        const h = this.d.head, title = `${h.title} \u00b7 layer ${layerName(h.layers[this.k])} \u00b7 ${this.measure === 'cosine' ? 'cosine similarity' : 'Euclidean distance'}`;
    const key = pathKey(this, c, g.w - 12, head / 2);
    c.fillStyle = this.ink.text; c.font = this.font(14, 600); c.textBaseline = 'middle'; c.textAlign = 'left';
    c.fillText(clipText(c, title, g.w - 36 - key), 12, head / 2); 
    bodies.forEach((body) => c.drawImage(body, 0, head, g.w, g.h));
    out.toBlob((blob) => {
      const a = document.createElement('a'), url = URL.createObjectURL(blob);
      a.href = url; a.download = `${h.name.replace(/[^\p{L}\p{N}._-]+/gu, '_')}-layer${h.layers[this.k]}-${this.measure}.png`;
      a.click(); setTimeout(() => URL.revokeObjectURL(url), 10000);
    }, 'image/png');
  }

  close() { this.watch.disconnect(); clearTimeout(this.timer); this.player.close(); this.thumbRun = -1; }
}
