// In a page of Streamlit. One View per mount; it outlives the script runs of the server.

const VIEWS = new WeakMap();

// The picture is on screen after the next frame; a hidden window has no frames.
function onceShown(tell) {
  let told = false;
  const once = () => { if (!told) { told = true; tell(); } };
  requestAnimationFrame(() => requestAnimationFrame(once)); setTimeout(once, 1000);
}

export default function ({ data, parentElement: root, setTriggerValue, setStateValue }) {
  const u8 = data instanceof Uint8Array ? data : new Uint8Array(data), wire = { setTriggerValue, setStateValue };
  let v = VIEWS.get(root);
  const first = !v;
  if (v && v.d.head.id === readHead(u8).head.id) { v.wire = wire; const { start } = readHead(u8).head; v.mark(start.marks); v.said(start.words); } // a script run, no new data
  else {
    if (v) v.close();
    v = new View(root, decode(u8), wire);
    VIEWS.set(root, v);
    if (first) onceShown(() => root.isConnected && v.wire.setStateValue('painted', true));
  }
  // Called before each script run too: only a root that has left the page is closed.
  return () => setTimeout(() => { if (!root.isConnected && VIEWS.get(root) === v) { v.close(); VIEWS.delete(root); } }, 500);
}
