// Mouse, touch and keys on the map.

function listen(v, stack, act) {
  const place = (e) => { const r = stack.getBoundingClientRect(); return [e.clientX - r.left, e.clientY - r.top]; };
  const clampTo = (g, [x, y]) => [clamp(x, g.plot.x, g.plot.x + g.plot.w), clamp(y, g.plot.y, g.plot.y + g.plot.h)];
  let down = null;
  stack.onpointerdown = (e) => {
    if (e.button !== 0) return;
    const [x, y] = place(e), g = v.g;
    down = { x, y, shift: e.shiftKey, win: { ...v.win }, moved: false, wave: y < g.plot.y && g.wave.h > 0, cell: cellAt(v, g, x, y) };
    if (e.pointerType === 'mouse') stack.setPointerCapture(e.pointerId);
  };
  stack.onpointermove = (e) => {
    const [x, y] = place(e), g = v.g;
    if (down && down.cell && e.pointerType === 'mouse' && (down.moved || Math.hypot(x - down.x, y - down.y) > 5)) {
      down.moved = true;
      if (down.shift) {
        v.win = { ...down.win };
        pan(v, ((down.x - x) / g.plot.w) * (down.win.x1 - down.win.x0), ((down.y - y) / g.plot.h) * (down.win.y1 - down.win.y0));
        act.repaint();
      } else { v.box = [...clampTo(g, [down.x, down.y]), ...clampTo(g, [x, y])]; act.over(); }
      return;
    }
    act.hover(cellAt(v, g, x, y));
  };
  stack.onpointerleave = () => act.hover(null);
  stack.onpointercancel = () => { down = null; v.box = null; act.over(); };
  stack.onpointerup = (e) => {
    const was = down, g = v.g, [x, y] = place(e);
    down = null;
    if (!was) return;
    if (v.box) {
      const [ax, ay, bx, by] = v.box; v.box = null;
      setWindow(v, iAt(v, g, Math.min(ax, bx)), iAt(v, g, Math.max(ax, bx)), jAt(v, g, Math.min(ay, by)), jAt(v, g, Math.max(ay, by)));
      act.repaint();
    } else if (was.moved) return;
    else if (was.wave && x >= g.plot.x && x <= g.plot.x + g.plot.w) act.playFrom(timeOf(v.d, iAt(v, g, x)));
    else if (was.cell) act.choose(cellAt(v, g, x, y) || was.cell, { play: true, on: e.shiftKey, tell: true });
  };
  stack.ondblclick = () => act.reset();
  stack.onwheel = (e) => {
    if (!e.ctrlKey && !e.metaKey) return; // a bare wheel scrolls the page
    e.preventDefault();
    const [x, y] = place(e), p = v.g.plot;
    zoom(v, Math.exp(-clamp(e.deltaY, -60, 60) / 150), clamp((x - p.x) / p.w, 0, 1), clamp((y - p.y) / p.h, 0, 1));
    act.repaint();
  };
  stack.onkeydown = (e) => {
    if (e.ctrlKey || e.metaKey || e.altKey) return;
    const { S, T, K } = v.d.head, step = e.shiftKey ? 10 : 1, top = Math.floor(v.win.y0);
    const fresh = !v.cell, [i, j] = v.cell || [v.d.argmax[v.measure][v.k * T + top], top], // first on the path
      go = (di, dj) => act.choose(fresh ? [i, j] : [clamp(i + di, 0, S - 1), clamp(j + dj, 0, T - 1)], {});
    const keys = {
      ArrowLeft: () => go(-step, 0), ArrowRight: () => go(step, 0), ArrowUp: () => go(0, -step), ArrowDown: () => go(0, step),
      Home: () => act.choose([0, j], {}), End: () => act.choose([S - 1, j], {}),
      Enter: () => act.choose([i, j], { play: true, on: e.shiftKey, tell: true }), ' ': () => act.toggle(), Escape: () => act.stop(),
      PageUp: () => act.layer(clamp(v.k - 1, 0, K - 1)), PageDown: () => act.layer(clamp(v.k + 1, 0, K - 1)),
      '[': () => act.layer(clamp(v.k - 1, 0, K - 1)), ']': () => act.layer(clamp(v.k + 1, 0, K - 1)),
      '+': () => act.zoom(1.6), '=': () => act.zoom(1.6), '-': () => act.zoom(1 / 1.6), 0: () => act.reset(),
      m: () => act.measure(v.measure === 'cosine' ? 'euclidean' : 'cosine'), a: () => act.path('argmax'), d: () => act.path('dtw'), w: () => v.words && act.path('words'), l: () => act.loop(),
    };
    const f = keys[e.key];
    if (f) { e.preventDefault(); e.stopPropagation(); f(); }
  };
}
