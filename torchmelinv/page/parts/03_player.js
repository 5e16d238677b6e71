// Clips of one item that play one at a time and hand over at the same moment.

const DATA = JSON.parse(byId("data").textContent);
const parsed = new Promise((resolve) => {
  if (document.readyState !== "loading") resolve();
  else document.addEventListener("DOMContentLoaded", () => resolve());
});

// Content of this page ("#id" of a block in base64) as bytes.
async function embeddedBytes(reference) {
  if (!byId(reference.slice(1))) await parsed; // blocks follow the script
  const text = atob(byId(reference.slice(1)).textContent);
  return Uint8Array.from(text, (letter) => letter.charCodeAt(0));
}

// A URL of a sound or picture: beside this page, or made from its content.
async function urlOf(reference, type) {
  if (!reference.startsWith("#")) return reference;
  return URL.createObjectURL(new Blob([await embeddedBytes(reference)], { type }));
}

function release(url) {
  if (url.startsWith("blob:")) URL.revokeObjectURL(url);
}

class Player {
  constructor(onchange) {
    this.onchange = onchange;
    this.clips = [];
    this.elements = [];
    this.active = 0;
    this.playing = false;
    this.loop = false;
    this.sameLoudness = false;
    this.loads = 0;
    this.ready = Promise.resolve();
  }

  // Take other clips (null: none) from their start; keep the active one if it has sound.
  async load(clips) {
    this.pause();
    this.clips = clips;
    if (!this.has(this.active)) this.active = Math.max(0, clips.findIndex((clip) => clip?.audio));
    while (this.elements.length < clips.length) this.elements.push(this.newElement());
    this.update();
    this.ready = this.setSources(clips);
    await this.ready;
    this.update();
  }

  async setSources(clips) {
    const load = (this.loads += 1);
    const urls = await Promise.all(
      clips.map((clip) => (clip?.audio ? urlOf(clip.audio, DATA.audioType) : "")),
    );
    if (load !== this.loads) return urls.forEach(release); // a later call has taken over
    this.elements.forEach((sound, index) => {
      release(sound.src);
      if (urls[index]) sound.src = urls[index];
      else sound.removeAttribute("src");
    });
  }

  newElement() {
    const sound = new Audio();
    sound.preload = "auto";
    sound.addEventListener("ended", () => this.ended(sound));
    sound.addEventListener("seeked", () => this.onchange());
    return sound;
  }

  has(index) {
    return Boolean(this.clips[index]?.audio);
  }

  get element() {
    return this.elements[this.active];
  }

  get position() {
    return this.element?.currentTime ?? 0;
  }

  get duration() {
    return Math.max(0, ...this.clips.map((clip) => clip?.seconds ?? 0));
  }

  async play() {
    if (!this.has(this.active)) return;
    this.playing = true;
    await this.ready;
    if (!this.playing) return;
    const sound = this.element;
    if (sound.ended) sound.currentTime = 0;
    this.update();
    try {
      await sound.play();
    } catch (error) {
      // A pause or another sound in the meantime ends the promise; that is no failure.
      if (error.name !== "AbortError" && sound === this.element) this.playing = false;
    }
    if (sound === this.element) this.elements.forEach((each) => each !== sound && each.pause());
    this.update();
  }

  pause() {
    this.playing = false;
    this.elements.forEach((sound) => sound.pause());
    this.onchange();
  }

  toggle() {
    if (this.playing) this.pause();
    else this.play();
  }

  // The next sound starts where this one is; this one ends when the next is heard.
  select(index) {
    if (index === this.active || !this.has(index)) return;
    const moment = this.position;
    this.active = index;
    this.element.currentTime = Math.min(moment, this.clips[index].seconds);
    if (this.playing) this.play();
    else this.update();
  }

  seek(moment) {
    if (!this.has(this.active)) return;
    this.element.currentTime = Math.min(Math.max(0, moment), this.clips[this.active].seconds);
    this.onchange();
  }

  ended(sound) {
    if (sound !== this.element || !this.playing) return;
    if (this.loop) this.play();
    else this.pause();
  }

  // The loudest clips are played softer, never the softest louder: nothing clips.
  update() {
    const levels = this.clips.filter((clip) => clip?.audio).map((clip) => clip.loudness);
    const softest = Math.min(...levels);
    this.elements.forEach((sound, index) => {
      const excess = this.sameLoudness && this.has(index) ? this.clips[index].loudness - softest : 0;
      sound.volume = 10 ** (-excess / 20);
    });
    this.onchange();
  }
}

// Connect a button, a slider and a clock to a player; returns what redraws them.
function transport(player, button, slider, clock) {
  button.addEventListener("click", () => player.toggle());
  slider.addEventListener("input", () => player.seek(Number(slider.value)));
  return () => {
    const text = `${seconds(player.position)} of ${seconds(player.duration)}`;
    button.textContent = player.playing ? "Pause" : "Play";
    button.disabled = !player.has(player.active);
    slider.disabled = button.disabled;
    slider.max = player.duration;
    slider.value = player.position;
    slider.setAttribute("aria-valuetext", text);
    clock.textContent = text;
  };
}

// Call a function before each frame while a player plays.
function whilePlaying(player, draw) {
  let running = false;
  const frame = () => {
    draw();
    running = player.playing;
    if (running) requestAnimationFrame(frame);
  };
  return () => {
    if (player.playing && !running) {
      running = true;
      requestAnimationFrame(frame);
    }
  };
}
