// The order of search results: titles that are the query first, then pages to read before others.
// Sphinx puts this in place of its own Scorer; the numbers are Sphinx's own.
var Scorer = {
  score: ([docname, title, anchor, descr, score, filename, kind]) => {
    const query = new URLSearchParams(window.location.search).get("q") ?? "";
    const heading = title.split(" > ").pop().trim().toLowerCase();
    if (kind === "title" && heading === query.trim().toLowerCase()) score += 20;
    if (!docname.includes("/")) return score + 2;
    if (docname.startsWith("guide/")) return score + 1;
    return docname.startsWith("notebooks/") ? score - 1 : score;
  },
  objNameMatch: 11,
  objPartialMatch: 6,
  objPrio: { 0: 15, 1: 5, 2: -5 },
  objPrioDefault: 0,
  title: 15,
  partialTitle: 7,
  term: 5,
  partialTerm: 2,
};
