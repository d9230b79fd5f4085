
// What a reader does with the cards beside filtering them: opens one in the viewer, compares two, copies a prompt, sorts,
// chooses labels and causes. The filter is kept in the page's address. What a user or a provider has written is put in
// as text only.
const viewer = (() => {
  const MAX_VALUES = 30; // a label with more values than this is found by text
  const byId = (id) => document.getElementById(id);
  const make = (name, properties = {}, ...children) => {
    const element = Object.assign(document.createElement(name), properties);
    element.append(...children);
    return element;
  };
  const button = (title, work) => {
    const made = make("button", { type: "button" }, title);
    made.addEventListener("click", work);
    return made;
  };
  // A live page adds what it can do about a job.
  const extras = { actionsOf: () => null };
  const dialog = byId("viewer");
  // A slot is the place of a card, which a live page replaces by a newer one.
  const slots = new WeakMap();
  for (const { units } of report.groups)
    for (const unit of units) unit.cards.forEach((card, index) => slots.set(card.element, { unit, index }));
  const cardAt = (slot) => slot.unit.cards[slot.index].element;
  let shown = []; // the slots in the viewer; the last one moves
  let pinned = null;

  // Messages.

  function say(text, wrong = false) {
    const said = byId("said");
    if (said.matches(":popover-open")) said.hidePopover();
    (dialog.open ? dialog : document.body).append(said); // a modal dialog makes all outside of it inert
    said.textContent = text;
    said.classList.toggle("wrong", wrong);
    said.showPopover();
    clearTimeout(say.timer);
    say.timer = setTimeout(() => said.matches(":popover-open") && said.hidePopover(), wrong ? 30000 : 6000);
  }
  byId("said").addEventListener("click", () => byId("said").hidePopover());

  async function copy(text) {
    try {
      await navigator.clipboard.writeText(text);
      say("Copied.");
    } catch {
      say("The browser did not let it be copied.", true);
    }
  }

  // The viewer: one job, or one beside another.

  function visible() {
    const found = [];
    for (const { box, units } of report.groups) {
      const order = report.extras.order && box.matches(".flow") ? [...units].sort(report.extras.order) : units;
      for (const { cards } of order)
        for (const { element } of cards) if (!element.hidden) found.push(slots.get(element));
    }
    return found;
  }

  function open(slot) {
    shown = pinned !== null && pinned !== slot ? [pinned, slot] : [slot];
    if (!dialog.open) dialog.showModal();
    draw();
    dialog.scrollTop = 0;
  }

  function draw() {
    const edited = dialog.querySelector("textarea:focus, input:focus");
    if (edited) return; // what is being typed stays
    const found = visible();
    const place = found.indexOf(shown.at(-1)) + 1;
    byId("place").textContent = `${place.toLocaleString("en")} of ${found.length.toLocaleString("en")}`;
    byId("pin").setAttribute("aria-pressed", String(pinned !== null));
    byId("panes").replaceChildren(...shown.map((one) => pane(one)));
    if (!dialog.contains(document.activeElement)) byId("next").focus();
  }

  function move(by) {
    const found = visible();
    if (!found.length) return;
    const at = found.indexOf(shown.at(-1));
    open(found[(at + by + found.length) % found.length]);
  }

  function mediaOf(card) {
    const box = make("div", { className: "media" });
    for (const link of card.querySelectorAll(":scope > a:has(img), .files a"))
      box.append(
        make("a", { href: link.href }, make("img", { src: link.href, alt: link.querySelector("img").alt })),
      );
    const videos = new Set([...card.querySelectorAll("video")].map((video) => video.src));
    for (const link of card.querySelectorAll("small a")) videos.add(link.href);
    for (const src of videos) box.append(make("video", { src, controls: true, preload: "metadata" }));
    return box;
  }

  function promptOf(card) {
    const details = card.querySelector(":scope > details");
    return (details ?? card.querySelector(":scope > p:not([class])"))?.textContent ?? "";
  }

  function pane(slot) {
    const card = cardAt(slot);
    const text = (selector) => card.querySelector(selector)?.textContent ?? "";
    const [key, status, prompt, cause] = [text("h3"), text("b"), promptOf(card), text(".cause")];
    const copyOf = (selector) => card.querySelector(selector).cloneNode(true);
    const box = make("section", { className: "pane" }, mediaOf(card));
    box.append(
      make("h2", { dir: "auto" }, key),
      make("div", { className: "row" }, make("strong", {}, status), copyOf("small")),
      ...(cause ? [copyOf(".cause")] : []),
      make("p", { className: "prompt" }, prompt),
      make(
        "div",
        { className: "row" },
        button("Copy prompt", () => copy(prompt)),
        button("Copy key", () => copy(key)),
        ...(cause ? [button("Copy cause", () => copy(cause))] : []),
      ),
    );
    const actions = extras.actionsOf({ card, key, status, prompt });
    if (actions) box.append(actions);
    return box;
  }

  // A card gets its button when it is put into the page: without this script it would do nothing.
  report.extras.place = (card) => {
    if (card.querySelector(":scope > .open")) return;
    const key = card.querySelector("h3").textContent;
    const opener = make("button", { type: "button", className: "open" }, "Details");
    opener.append(make("span", { className: "unseen" }, ` of ${key}`));
    card.querySelector(":scope > b").after(opener);
  };

  document.addEventListener("click", (event) => {
    const card = event.target.closest("article[data-is]");
    if (!card || event.defaultPrevented || event.button || event.ctrlKey || event.metaKey || event.shiftKey) return;
    const control = event.target.closest("a, button, summary, details, video");
    if (control && !control.matches(".open") && !control.querySelector("img")) return;
    if (!control && String(getSelection())) return; // text that was selected is to be copied
    event.preventDefault();
    open(slots.get(card));
  });
  document.addEventListener("keydown", (event) => {
    if (!dialog.open) return;
    if (event.target.matches("input, textarea, video") || event.ctrlKey || event.metaKey || event.altKey) return;
    const by = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    if (!by) return;
    event.preventDefault();
    move(by);
  });
  dialog.addEventListener("click", (event) => event.target === dialog && dialog.close());
  dialog.addEventListener("close", () => {
    const card = cardAt(shown.at(-1));
    byId("panes").replaceChildren();
    pinned = null;
    if (card.isConnected) card.querySelector(".open").focus();
  });
  byId("previous").addEventListener("click", () => move(-1));
  byId("next").addEventListener("click", () => move(1));
  byId("close").addEventListener("click", () => dialog.close());
  byId("pin").addEventListener("click", () => {
    pinned = pinned === null ? shown.at(-1) : null;
    open(shown.at(-1));
  });

  // Causes, order, labels, and the filter in the page's address.

  function linkCauses() {
    for (const box of document.querySelectorAll(".causes li > div")) {
      const text = box.firstChild;
      if (text?.nodeType !== Node.TEXT_NODE) continue;
      const link = button(text.data.trim(), () => {
        report.clear("");
        byId("find").value = link.textContent;
        update();
        byId("jobs").focus();
      });
      link.title = "Show these jobs";
      text.replaceWith(link);
    }
  }

  function addSelect(id, title, options) {
    const select = make("select", { id });
    for (const [value, text] of options) select.append(make("option", { value }, text));
    const label = make("label", { htmlFor: id }, title);
    byId("shown").before(make("div", {}, label, " ", select));
    return select;
  }

  // Numbers of a card behind its status, provider and model.
  const NUMBERS = { newest: 3, duration: 4, cost: 5 };
  const orders = [
    ["", "run order"],
    ["newest", "newest first"],
    ["cost", "cost"],
    ["duration", "duration"],
  ];
  // The rows of a matrix have their order from its labels.
  const sort = report.groups.some(({ box }) => box.matches(".flow")) ? addSelect("sort", "Sort by", orders) : null;
  const labelsOf = (card) => (card.labels ??= JSON.parse(card.element.dataset.labels ?? "{}"));
  const labels = new Map();
  for (const { units } of report.groups)
    for (const { cards } of units)
      for (const card of cards)
        for (const [name, value] of Object.entries(labelsOf(card)))
          (labels.get(name) ?? labels.set(name, new Set()).get(name)).add(value);
  const selects = [...labels]
    .filter(([, values]) => values.size > 1 && values.size <= MAX_VALUES)
    .map(([name, values], at) => [
      name,
      addSelect(`label-${at}`, name, [["", "any"], ...[...values].map((value) => [`=${value}`, value])]),
    ]);

  function narrow() {
    const place = NUMBERS[sort?.value];
    report.extras.order = place ? ({ cards: [one] }, { cards: [other] }) => other.is[place] - one.is[place] : null;
    const wanted = selects.filter(([, select]) => select.value).map(([name, { value }]) => [name, value.slice(1)]);
    report.extras.matches = (card) => wanted.every(([name, value]) => labelsOf(card)[name] === value);
  }

  // The address has names, as the numbers of statuses and providers are those of this page only.
  const controls = () => [...document.querySelectorAll("search select")];
  const statuses = () => [...document.querySelectorAll("input[name=status]")];
  const nameOf = (radio) => radio.nextElementSibling.firstChild.data.trim();

  function keep() {
    const kept = new URLSearchParams();
    if (byId("find").value) kept.set("find", byId("find").value);
    for (const { id, value, selectedOptions } of controls()) if (value) kept.set(id, selectedOptions[0].text);
    const chosen = statuses().find((radio) => radio.checked && radio.value);
    if (chosen) kept.set("status", nameOf(chosen));
    history.replaceState(null, "", String(kept) ? `#${kept}` : location.pathname + location.search);
  }

  function restore() {
    const kept = new URLSearchParams(location.hash.slice(1));
    if (kept.has("find")) byId("find").value = kept.get("find");
    for (const control of controls()) {
      const option = [...control.options].find(({ text }) => text === kept.get(control.id));
      if (option) control.value = option.value;
    }
    const radio = statuses().find((one) => nameOf(one) === kept.get("status"));
    if (radio) radio.checked = true;
    narrow();
    report.restart();
  }

  function update() {
    narrow();
    report.restart();
    keep();
  }

  // Before the page's own listener, which shows what these let through.
  document.querySelector("search").addEventListener("input", narrow, { capture: true });
  document.querySelector("search").addEventListener("input", keep);
  document.addEventListener("click", (event) => {
    if (event.target.closest("#reset, button[data-status]")) update();
  });
  window.addEventListener("pageshow", restore);
  window.addEventListener("hashchange", restore);
  linkCauses();
  restore();
  const shows = (slot) => dialog.open && shown.includes(slot);
  return { addSelect, button, byId, dialog, draw, extras, linkCauses, make, say, shows, slots };
})();
