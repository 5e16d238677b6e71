// The chosen item: one clip for each system, their spectrograms and scores.

const player = new Player(() => redrawItem());
const drawTransport = transport(player, byId("play"), byId("seek"), byId("time"));
const followItem = whilePlaying(player, () => redrawItem());

function redrawItem() {
  drawTransport();
  const share = player.duration ? (100 * player.position) / player.duration : 0;
  for (const head of byId("tracks").querySelectorAll(".playhead")) head.style.left = `${share}%`;
  byId("tracks").querySelectorAll(".track").forEach((track) => {
    const active = Number(track.dataset.system) === player.active && player.has(player.active);
    track.classList.toggle("active", active);
    track.querySelector("input").checked = active;
  });
  followItem();
}

function frequencyAxis() {
  return DATA.frequencies.map(({ share, text }) => {
    const label = element("span", { class: "frequency" }, text);
    label.style.bottom = `${100 * share}%`;
    return label;
  });
}

function drawTrack(item, system, clip, longest) {
  const { name } = SYSTEMS[system];
  const key = system < 9 ? element("kbd", {}, String(system + 1)) : null;
  const input = element("input", {
    type: "radio",
    name: "track",
    disabled: !clip.audio,
    onchange: () => player.select(system),
  });
  const value = element("span", { class: "value", "data-system": system });
  const picture = element("div", { class: "picture" });
  if (clip.picture) {
    const image = element("img", { alt: `Mel spectrogram of ${name}`, draggable: "false" });
    image.style.width = `${(100 * clip.seconds) / longest}%`;
    urlOf(clip.picture, "image/png").then((url) => {
      image.addEventListener("load", () => release(url));
      image.addEventListener("error", () => release(url));
      image.src = url;
    });
    picture.append(image, element("span", { class: "playhead", "aria-hidden": "true" }));
    picture.addEventListener("click", (event) => {
      const box = picture.getBoundingClientRect();
      player.select(system);
      player.seek(((event.clientX - box.left) / box.width) * longest);
    });
  }
  const problem = clip.problem ?? (clip.audio ? "" : "a mel, without sound");
  return element(
    "div",
    { class: "track", "data-system": system },
    element("label", {}, input, key, named(name), element("span", { class: "quiet small" }, problem), value),
    clip.picture ? element("div", { class: "axis" }, ...frequencyAxis()) : null,
    clip.picture ? picture : null,
  );
}

function drawValues() {
  const { digits } = metricNow();
  for (const value of byId("tracks").querySelectorAll(".value")) {
    const number = state.item === null ? null : score(state.item, Number(value.dataset.system));
    value.textContent = number === null ? "" : format(number, digits);
  }
}

function drawScores(item) {
  const systems = SYSTEMS.map((_, system) => system).filter((system) =>
    ITEMS[item].scores.some((row) => row[system] !== null && row[system] !== undefined),
  );
  byId("all").hidden = systems.length === 0;
  byId("scores").replaceChildren(
    element(
      "thead",
      {},
      element(
        "tr",
        {},
        element("th", { scope: "col" }, "Metric"),
        ...systems.map((system) => element("th", { scope: "col" }, named(SYSTEMS[system].name))),
      ),
    ),
    element(
      "tbody",
      {},
      ...METRICS.map((metric, index) =>
        element(
          "tr",
          {},
          element("th", { scope: "row" }, `${heading(metric)} ${ARROWS[metric.better]}`),
          ...systems.map((system) => element("td", {}, format(score(item, system, index), metric.digits))),
        ),
      ),
    ),
  );
}

async function drawItem() {
  const item = state.item;
  const { name, clips, notes } = ITEMS[item];
  const longest = Math.max(0, ...clips.map((clip) => clip?.seconds ?? 0));
  const playing = player.playing;
  byId("item-name").replaceChildren(named(name));
  const tracks = clips.flatMap((clip, system) => (clip ? [drawTrack(item, system, clip, longest)] : []));
  byId("tracks").replaceChildren(byId("tracks").firstElementChild, ...tracks);
  byId("notes").replaceChildren(...notes.map((note) => element("li", {}, note)));
  drawValues();
  drawScores(item);
  drawPlace();
  await player.load(clips);
  if (playing && item === state.item) player.play();
}

function drawPlace() {
  const place = state.visible.indexOf(state.item);
  byId("item-place").textContent = place < 0 ? "" : `${place + 1} of ${state.visible.length}`;
  byId("previous").disabled = place <= 0;
  byId("next").disabled = place === state.visible.length - 1;
}

function startItem() {
  on("item", drawItem);
  on("metric", drawValues);
  on("order", drawPlace);
  byId("previous").addEventListener("click", () => step(-1));
  byId("next").addEventListener("click", () => step(1));
  byId("loop").addEventListener("change", () => {
    player.loop = byId("loop").checked;
  });
  byId("level").addEventListener("change", () => {
    player.sameLoudness = byId("level").checked;
    player.update();
  });
  const [low, , high, of] = byId("legend").children;
  [low.textContent, high.textContent, of.textContent] = DATA.scale;
}
