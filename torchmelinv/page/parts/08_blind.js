// A blind test: two systems in random order, the answers, and an exact binomial test.

const blind = { pair: [], trials: [], place: 0, answers: [], withReference: false, heard: new Set() };
const blindPlayer = new Player(() => redrawBlind());
const drawBlindTransport = transport(blindPlayer, byId("blind-play"), byId("blind-seek"), byId("blind-time"));
const followBlind = whilePlaying(blindPlayer, () => redrawBlind());
const NO_DIFFERENCE = -1;

function redrawBlind() {
  drawBlindTransport();
  for (const button of document.querySelectorAll("[data-sound]")) {
    const active = Number(button.dataset.sound) === blindPlayer.active;
    button.setAttribute("aria-pressed", String(active));
  }
  if (blindPlayer.playing) blind.heard.add(blindPlayer.active);
  const ready = blind.heard.has(0) && blind.heard.has(1);
  for (const button of document.querySelectorAll("[data-answer]")) button.disabled = !ready;
  byId("blind-hint").textContent = ready ? "" : "Listen to A and to B, then answer.";
  followBlind();
}

// The items for which both systems, and the reference if asked for, have sound.
function comparable(first, second, reference) {
  const needed = [first, second, ...(reference ? [REFERENCE] : [])];
  return ITEMS.map((_, item) => item).filter((item) =>
    needed.every((system) => ITEMS[item].clips[system]?.audio),
  );
}

function showStage(stage, title) {
  for (const each of ["setup", "trial", "result"]) byId(`blind-${each}`).hidden = each !== stage;
  byId("blind-title").textContent = title;
  byId("blind-title").focus();
}

function blindSettings() {
  const [first, second] = [Number(byId("blind-first").value), Number(byId("blind-second").value)];
  const withReference =
    byId("blind-reference").checked && ![-1, first, second].includes(REFERENCE);
  return { first, second, withReference, items: comparable(first, second, withReference) };
}

function checkSettings() {
  const { first, second, items } = blindSettings();
  const problem =
    first === second
      ? "Choose two different systems."
      : items.length === 0
        ? "No item has a sound of both."
        : "";
  byId("blind-problem").textContent = problem;
  byId("blind-start").disabled = problem !== "";
  byId("blind-question").hidden = [-1, first, second].includes(REFERENCE);
  byId("blind-count").max = Math.max(1, items.length);
}

function openBlind() {
  player.pause();
  showStage("setup", "Blind test");
  byId("blind").showModal();
  checkSettings();
}

function startBlind() {
  const { first, second, withReference, items } = blindSettings();
  const count = Math.max(1, Math.min(items.length, Math.floor(Number(byId("blind-count").value)) || 1));
  blind.pair = [first, second];
  blind.withReference = withReference;
  blind.trials = shuffled(items).slice(0, count).map((item) => ({ item, swapped: randomBelow(2) === 1 }));
  blind.place = 0;
  blind.answers = [];
  blindPlayer.sameLoudness = byId("blind-level").checked;
  byId("blind-ask").textContent = withReference
    ? "Which is closer to the reference?"
    : "Which sounds better?";
  document.querySelectorAll("[data-answer] span").forEach((label, index) => {
    label.textContent = `${"AB"[index]} is ${withReference ? "closer" : "better"}`;
  });
  document.querySelector("[data-sound='2']").hidden = !withReference;
  openTrial();
}

function openTrial() {
  const { item, swapped } = blind.trials[blind.place];
  const [first, second] = blind.pair;
  const { clips } = ITEMS[item];
  const sounds = swapped ? [clips[second], clips[first]] : [clips[first], clips[second]];
  if (blind.withReference) sounds.push(clips[REFERENCE]);
  blind.heard.clear();
  blindPlayer.active = 0;
  showStage("trial", `Comparison ${blind.place + 1} of ${blind.trials.length}`);
  blindPlayer.load(sounds);
}

// Choose a sound; a press on it plays.
function listenTo(index) {
  if (!blindPlayer.has(index)) return;
  if (blindPlayer.playing) blindPlayer.select(index);
  else {
    blindPlayer.select(index);
    blindPlayer.play();
  }
}

function answer(choice) {
  if (!(blind.heard.has(0) && blind.heard.has(1))) return;
  const { item, swapped } = blind.trials[blind.place];
  const preferred = choice === NO_DIFFERENCE ? null : blind.pair[swapped ? 1 - choice : choice];
  blind.answers.push({ item, a: blind.pair[swapped ? 1 : 0], b: blind.pair[swapped ? 0 : 1], preferred });
  blind.place += 1;
  if (blind.place < blind.trials.length) openTrial();
  else showResult();
}

// Counts of one system's preferences, with the interval of its share and a p value.
function tally(answers, [first, second]) {
  const [wins, losses] = [first, second].map(
    (system) => answers.filter((each) => each.preferred === system).length,
  );
  const decided = wins + losses;
  return {
    wins,
    losses,
    ties: answers.length - decided,
    interval: decided ? shareInterval(wins, decided) : null,
    p: decided ? binomialTest(wins, decided) : null,
  };
}

function percent(share) {
  return `${(100 * share).toFixed(0)} %`;
}

function showResult() {
  blindPlayer.pause();
  const { wins, losses, ties, interval: share, p } = tally(blind.answers, blind.pair);
  const [first, second] = blind.pair.map((system) => named(SYSTEMS[system].name));
  const verb = blind.withReference ? "closer" : "better";
  byId("blind-verdict").replaceChildren(
    first, ` ${wins}, `, second, ` ${losses}, no difference ${ties}`,
  );
  const chance = p !== null && p < 0.001 ? "p < 0.001" : `p = ${p?.toFixed(3)}`;
  byId("blind-test").textContent =
    p === null
      ? "No comparison was decided."
      : `${SYSTEMS[blind.pair[0]].name} was ${verb} in ${wins} of ${plural(wins + losses, "decided comparison")}, ` +
        `${percent(wins / (wins + losses))} (95 % interval ${percent(share[0])} to ${percent(share[1])}). ` +
        `If there were no preference, a result at least as one-sided would come with ${chance} ` +
        "(exact binomial test, two-sided).";
  byId("blind-answers").replaceChildren(
    element(
      "thead",
      {},
      element("tr", {}, ...["Item", "A", "B", "Answer"].map((text) => element("th", { scope: "col" }, text))),
    ),
    element("tbody", {}, ...blind.answers.map(answerRow)),
  );
  showStage("result", "Result");
}

function answerNames({ item, a, b, preferred }) {
  const answered = preferred === null ? "no difference" : SYSTEMS[preferred].name;
  return [ITEMS[item].name, SYSTEMS[a].name, SYSTEMS[b].name, answered];
}

function answerRow(entry) {
  const [item, ...others] = answerNames(entry);
  return element(
    "tr",
    {},
    element("th", { scope: "row" }, named(item)),
    ...others.map((text) => element("td", { class: "text" }, named(text))),
  );
}

// A cell that no spreadsheet takes for a formula.
function csvCell(text) {
  const safe = /^[=+\-@\t\r]/.test(text) ? `'${text}` : text;
  return `"${safe.replaceAll('"', '""')}"`;
}

function saveAnswers() {
  const rows = [["item", "a", "b", "preferred"], ...blind.answers.map(answerNames)];
  const text = rows.map((row) => row.map(csvCell).join(",")).join("\r\n");
  const url = URL.createObjectURL(new Blob([`${text}\r\n`], { type: "text/csv" }));
  element("a", { href: url, download: "blind_test.csv" }).click();
  setTimeout(() => URL.revokeObjectURL(url), 1000);
}

function startBlindTest() {
  const sounding = SYSTEMS.map((_, system) => system).filter((system) =>
    ITEMS.some(({ clips }) => clips[system]?.audio),
  );
  byId("blind-open").hidden = sounding.length < 2;
  const pair = sounding.filter((system) => system !== REFERENCE || sounding.length < 3);
  for (const [place, id] of ["blind-first", "blind-second"].entries()) {
    byId(id).replaceChildren(
      ...sounding.map((system) => element("option", { value: system }, SYSTEMS[system].name)),
    );
    byId(id).value = pair[place];
    byId(id).addEventListener("change", checkSettings);
  }
  byId("blind-reference").addEventListener("change", checkSettings);
  byId("blind-count").value = Math.min(10, ITEMS.length);
  byId("blind-open").addEventListener("click", openBlind);
  byId("blind-start").addEventListener("click", startBlind);
  byId("blind-stop").addEventListener("click", showResult);
  byId("blind-again").addEventListener("click", () => {
    showStage("setup", "Blind test");
    checkSettings();
  });
  byId("blind-save").addEventListener("click", saveAnswers);
  byId("blind").addEventListener("close", () => blindPlayer.pause());
  for (const button of document.querySelectorAll("[data-sound]")) {
    button.addEventListener("click", () => listenTo(Number(button.dataset.sound)));
  }
  for (const button of document.querySelectorAll("[data-answer]")) {
    button.addEventListener("click", () => answer(Number(button.dataset.answer)));
  }
}
