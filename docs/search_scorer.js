// Ranks the results of the search. A page whose title has the words that are looked for is about them. A guide is for
// more readers than the page of the API, and that is for more than the changelog.
var Scorer = {
  objNameMatch: 11,
  objPartialMatch: 6,
  objPrio: { 0: 15, 1: 5, 2: -5 },
  objPrioDefault: 0,
  title: 15,
  partialTitle: 7,
  term: 5,
  partialTerm: 2,
  kinds: [
    [/^reference\/(changelog|CONTRIBUTING|SECURITY|faults|benchmarks)|^howto\/add_a_provider$|^explanation\/design$/, -8],
    [/^reference\/(glossary|errors)$/, 4],
    [/^reference\/commands$/, -2],
    [/^(howto|tutorial|explanation)\//, 8],
  ],
  inTitle: (title) => {
    const stemmer = new Stemmer();
    const stems = (text) => splitQuery(text.toLowerCase()).map((word) => stemmer.stemWord(word));
    const wanted = stems(new URLSearchParams(location.search).get("q") ?? "");
    const words = stems(title);
    return wanted.length > 0 && wanted.every((one) => words.some((word) => word.startsWith(one)));
  },
  score: ([docname, title, , , score, , kind]) => {
    const [, weight] = Scorer.kinds.find(([pattern]) => pattern.test(docname)) ?? [null, 0];
    return score + weight + (kind === "text" && Scorer.inTitle(title) ? 12 : 0);
  },
};
