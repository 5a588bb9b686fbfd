// The sound: a moment (from, to), repeated if asked, or everything from a place on.

const CONTEXT = 0.4; // seconds heard after a chosen speech position, which alone is too short to hear

class Player {
  constructor(v, audio, bytes, changed) {
    Object.assign(this, { v, audio, changed, until: null, from: 0, loop: false, raf: 0 });
    this.url = bytes ? URL.createObjectURL(new Blob([bytes], { type: 'audio/wav' })) : '';
    if (bytes) audio.src = this.url; else audio.removeAttribute('src');
    audio.onplay = () => { changed(); this.tick(); };
    audio.onpause = audio.onseeked = audio.onloadedmetadata = () => changed();
    audio.ontimeupdate = () => this.bounds(); // frames stop in a hidden tab, this does not
    audio.onended = () => { if (this.loop && this.until !== null) this.moment(this.from, this.until); else changed(); };
  }

  bounds() {
    const a = this.audio;
    if (this.until === null || a.paused || a.currentTime < this.until) return;
    if (this.loop) a.currentTime = this.from; else { a.pause(); this.until = null; }
  }

  tick() {
    cancelAnimationFrame(this.raf);
    this.bounds(); this.changed();
    if (!this.audio.paused) this.raf = requestAnimationFrame(() => this.tick());
  }

  start() { const p = this.audio.play(); if (p) p.catch(() => {}); } // a pause before the start is no error

  moment(from, to) { this.seek(from); this.from = from; this.until = to; this.start(); }

  playFrom(t) { this.seek(t); this.until = null; this.start(); }

  seek(t) { this.audio.currentTime = clamp(t, 0, Math.max(0, this.v.d.head.seconds - 0.001)); }

  toggle() {
    const a = this.audio;
    if (!a.paused) { a.pause(); return; }
    this.until = this.loop && this.until !== null ? this.until : null;
    this.start();
  }

  stop() { this.audio.pause(); this.until = null; }

  close() { cancelAnimationFrame(this.raf); this.audio.pause(); this.audio.removeAttribute('src'); URL.revokeObjectURL(this.url); }
}
