"use strict";
// Shows the cards that match the filter, one batch at a time, once `restart` is called. Laying out a page of 5,000 cards is slow and removing
// cards from it is not, so cards that are not shown are removed from the page.
const report = (() => {
  const BATCH = 60;
  const jobs = document.getElementById("jobs");
  const find = document.getElementById("find");
  const shown = document.getElementById("shown");
  const more = document.getElementById("more");
  const none = document.getElementById("none");
  const choices = ["status", "provider", "model"];
  const plain = (text) => text.normalize("NFKC").toLowerCase();
  // The viewer narrows and orders the cards further, and adds to those that are shown.
  const extras = { matches: () => true, order: null, place: () => {} };

  function read(card, unit) {
    return {
      element: card,
      text: plain(card.textContent + " " + (card === unit ? "" : unit.cells[0].textContent)),
      is: card.dataset.is.split(" "),
    };
  }

  // A unit is shown or hidden as a whole: a card, or a row of a matrix with its cards.
  const groups = [...document.querySelectorAll("[data-jobs]")].map((box) => ({
    box,
    section: box.closest("section"),
    units: [...box.children].map((element) => ({
      element,
      cards: (element.matches("article") ? [element] : [...element.querySelectorAll("article")]).map((card) =>
        read(card, element),
      ),
    })),
  }));
  const total = groups.flatMap((group) => group.units).reduce((sum, unit) => sum + unit.cards.length, 0);
  let capacity = BATCH;

  const chosen = (name) =>
    name === "status"
      ? document.querySelector("input[name=status]:checked").value
      : (document.getElementById(name)?.value ?? "");

  function apply() {
    const words = plain(find.value).split(/\s+/).filter(Boolean);
    const wanted = choices.map(chosen);
    const matches = (card) =>
      wanted.every((value, place) => value === "" || value === card.is[place]) &&
      words.every((word) => card.text.includes(word)) &&
      extras.matches(card);
    let [matching, placed] = [0, 0];
    for (const { box, section, units } of groups) {
      const visible = [];
      let found = 0;
      for (const unit of extras.order && box.matches(".flow") ? [...units].sort(extras.order) : units) {
        let inside = 0;
        for (const card of unit.cards) {
          const match = matches(card);
          if (card.element.hidden === match) card.element.hidden = !match;
          inside += match;
        }
        if (inside && placed < capacity) {
          visible.push(unit.element);
          for (const card of unit.cards) extras.place(card.element);
          placed += inside;
        }
        found += inside;
      }
      matching += found;
      box.replaceChildren(...visible);
      section.hidden = !visible.length;
    }
    shown.textContent = `${matching.toLocaleString("en")} of ${total.toLocaleString("en")} jobs`;
    none.hidden = matching > 0 || total === 0;
    more.hidden = placed >= matching;
    for (const video of document.querySelectorAll("video[preload=none]")) videos.observe(video);
    end.unobserve(more); // so that it reports again if the end is still near
    end.observe(more);
  }

  // A late report has several entries, and the last one says how it is now.
  const end = new IntersectionObserver((entries) => entries.at(-1).isIntersecting && grow(), { rootMargin: "800px" });

  // The first frame of a video is fetched when the video comes near the viewport.
  const videos = new IntersectionObserver(
    (entries) => {
      for (const { isIntersecting, target } of entries) {
        if (!isIntersecting) continue;
        videos.unobserve(target);
        target.preload = "metadata";
      }
    },
    { rootMargin: "400px" },
  );

  function restart() {
    capacity = BATCH;
    apply();
    if (jobs.getBoundingClientRect().top < 0) jobs.scrollIntoView();
  }

  function grow() {
    capacity += BATCH;
    apply();
  }

  // Leave the order as it is, and let only a status through.
  function clear(status) {
    find.value = "";
    for (const select of document.querySelectorAll("search select:not(#sort)")) select.value = "";
    document.querySelector(`input[name=status][value="${status}"]`).checked = true;
  }

  function choose(status) {
    clear(status);
    restart();
  }

  document.querySelector("search").hidden = false;
  document.querySelector("search").addEventListener("input", restart);
  document.getElementById("reset").addEventListener("click", () => {
    choose("");
    find.focus();
  });
  document.addEventListener("click", (event) => {
    const button = event.target.closest("button[data-status]");
    if (!button) return;
    choose(button.dataset.status);
    jobs.focus();
  });
  const reveal = () => document.querySelectorAll("button[data-status]").forEach((button) => (button.hidden = false));
  reveal();
  more.addEventListener("click", grow);
  window.addEventListener("beforeprint", () => {
    capacity = Infinity;
    apply();
  });
  return { groups, read, apply, restart, reveal, clear, extras };
})();
