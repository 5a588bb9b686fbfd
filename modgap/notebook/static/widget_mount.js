// In a notebook's output. A shadow root keeps the page's styles out and its own in; MARKUP and
// STYLE are appended by the kernel's side.

// What the notebook calls its colours: JupyterLab, VS Code, Colab, or none of them.
const THEME = `
:host { display: block;
  --st-text-color: var(--jp-ui-font-color1, var(--vscode-editor-foreground, var(--colab-primary-text-color, #1b2430)));
  --st-background-color: var(--jp-layout-color0, var(--vscode-editor-background, var(--colab-primary-surface-color, #ffffff)));
  --st-border-color: var(--jp-border-color1, var(--vscode-panel-border, var(--colab-border-color, #c3c9d1)));
  --st-primary-color: var(--jp-brand-color1, var(--vscode-focusBorder, #0b5cad));
  --st-font: var(--jp-ui-font-family, var(--vscode-font-family, "Segoe UI", Roboto, Arial, sans-serif)); }
.mg { background: var(--st-background-color); padding: 8px; }
`;

function open(model, root) {
  const block = model.get('_payload'), d = decode(new Uint8Array(block.buffer, block.byteOffset, block.byteLength));
  const layers = d.head.layers, pair = () => { const c = model.get('cell'); return c && [c[1], c[2]]; };
  Object.assign(d.head.start, { layer: Math.max(0, layers.indexOf(model.get('layer'))), measure: model.get('measure'), paths: model.get('paths'), cell: pair(), marks: model.get('_marks'), words: model.get('_words') });
  const v = new View(root, d, {
    setStateValue: (name, value) => { model.set(name, value); model.save_changes(); },
    setTriggerValue: (event, value) => model.send({ event, ...value }),
  });
  const heard = {
    layer: () => { v.told = model.get('layer'); v.layer(layers.indexOf(v.told), false); },
    measure: () => v.setMeasure(model.get('measure')),
    paths: () => { v.paths = new Set(model.get('paths')); v.paint(); v.controls(); },
    cell: () => { const c = pair(); if (!c) { v.cell = null; v.paint(); v.tellCell(); } else if (String(c) !== String(v.cell)) v.choose(c, {}); },
    _marks: () => v.mark(model.get('_marks')),
    _words: () => v.said(model.get('_words')),
  };
  for (const [name, hear] of Object.entries(heard)) model.on('change:' + name, hear);
  // A notebook says its theme on the page's outermost elements, some time after the colours are gone.
  const themed = () => { const was = JSON.stringify(v.ink); v.theme(); if (JSON.stringify(v.ink) !== was) v.refresh(true); };
  const watch = new MutationObserver(() => requestAnimationFrame(themed));
  for (const outer of [document.documentElement, document.body]) watch.observe(outer, { attributes: true });
  return () => { watch.disconnect(); for (const [name, hear] of Object.entries(heard)) model.off('change:' + name, hear); v.close(); };
}

function render({ model, el }) {
  // Keys belong to the map while it has the focus: to a notebook "d d" would delete the cell.
  el.setAttribute('data-lm-suppress-shortcuts', 'true');
  const root = el.attachShadow({ mode: 'open' }), sheet = document.createElement('style');
  root.addEventListener('keydown', (e) => { if (!e.ctrlKey && !e.metaKey && !e.altKey) e.stopPropagation(); });
  sheet.textContent = THEME + STYLE;
  root.append(sheet, ...new DOMParser().parseFromString(MARKUP, 'text/html').body.childNodes);
  // Colours and sizes are those of the page, so that the view waits until it is part of it.
  let close = null, gone = false;
  const begin = () => { if (gone) return; if (el.isConnected) close = open(model, root); else requestAnimationFrame(begin); };
  begin();
  return () => { gone = true; if (close) close(); };
}

export default { render };
