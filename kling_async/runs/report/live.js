
// Keeps a live page up to date, and acts on jobs. All HTML is rendered by the server, with the template of the page; what
// a user or a provider has written is otherwise put in as text.
(() => {
  const { addSelect, button, byId, dialog, extras, make, say, slots } = viewer;
  const jobs = new Map(); // by the number of a job: the slot of its card
  for (const { units } of report.groups)
    for (const { cards } of units)
      for (const { element } of cards) jobs.set(element.dataset.job, slots.get(element));
  let idle = false;
  let why = ""; // nothing can be done with a job

  async function act(action, fields) {
    try {
      const answer = await fetch(action, {
        method: "POST",
        headers: { "Content-Type": "application/json" },
        body: JSON.stringify(fields),
      });
      const found = await answer.json();
      say(found.message ?? found.error, !answer.ok);
      return answer.ok;
    } catch {
      say("The server cannot be reached. Nothing is known to have been done.", true);
      return false;
    }
  }

  // What the server sends.

  function replace(job, html) {
    const slot = jobs.get(job);
    if (!slot) return;
    const { unit, index } = slot;
    const old = unit.cards[index].element;
    const box = document.createElement("template");
    box.innerHTML = html;
    const fresh = box.content.firstElementChild;
    const [was, is] = [old.querySelector("details"), fresh.querySelector("details")];
    if (was?.open && is) is.open = true;
    const focused = old.contains(document.activeElement);
    fresh.hidden = old.hidden;
    report.extras.place(fresh);
    old.replaceWith(fresh);
    if (unit.element === old) unit.element = fresh;
    unit.cards[index] = report.read(fresh, unit.element);
    slots.set(fresh, slot);
    if (focused) fresh.querySelector(".open").focus();
    if (viewer.shows(slot)) viewer.draw();
  }

  const parts = new Map();
  function put(name, html) {
    const part = document.querySelector(`[data-part="${name}"]`);
    if (!part || parts.get(name) === html) return;
    parts.set(name, html);
    const chosen = document.querySelector("input[name=status]:checked")?.value;
    const controls = () => [...part.querySelectorAll("a, button, input, summary, [tabindex]")];
    const focused = controls().indexOf(document.activeElement);
    const open = [...part.querySelectorAll("details")].map((details) => details.open);
    part.innerHTML = html;
    part.querySelectorAll("details").forEach((details, at) => (details.open = open[at] ?? false));
    if (name === "statuses") {
      const same = [...part.querySelectorAll("input")].find((input) => input.value === chosen);
      (same ?? part.querySelector("input")).checked = true;
    }
    if (name === "causes") viewer.linkCauses();
    if (focused >= 0) controls()[focused]?.focus();
  }

  function offer(name, choices) {
    const values = Object.entries(choices);
    let select = byId(name);
    if (!select) {
      if (values.length < 2) return;
      select = addSelect(name, name[0].toUpperCase() + name.slice(1), [["", "any"]]);
    }
    const known = new Set([...select.options].map((option) => option.value));
    for (const [text, value] of values)
      if (text && !known.has(String(value))) select.append(make("option", { value: String(value) }, text));
  }

  const updates = new EventSource(`events?since=${document.body.dataset.version}`);
  updates.addEventListener("cards", (event) => {
    for (const [job, html] of Object.entries(JSON.parse(event.data))) replace(job, html);
  });
  updates.addEventListener("parts", (event) => {
    const data = JSON.parse(event.data);
    for (const [name, html] of Object.entries(data.parts)) put(name, html);
    for (const [name, choices] of Object.entries(data.choices)) offer(name, choices);
    if (data.layout) say("Other jobs have a card now. Reload the page to see them.");
    report.reveal();
    report.apply();
  });
  updates.addEventListener("status", (event) => {
    const { owner, busy, rate, problem, ...data } = JSON.parse(event.data);
    idle = data.idle;
    why = busy
      ? "A command of this page is running. Wait until it has ended."
      : "While the run goes on, its jobs cannot be decided about or retried here.";
    byId("live").textContent =
      (owner ? `Running (${owner}).` : busy ? "Starting." : "Not running.") +
      (rate ? ` ${rate.toLocaleString("en")} finished in the last minute.` : "");
    byId("resume").hidden = !idle;
    if (problem && problem !== say.problem) say(problem, true);
    say.problem = problem;
    if (dialog.open) for (const fields of dialog.querySelectorAll("fieldset")) fields.disabled = !idle;
  });
  updates.addEventListener("error", () => {
    idle = false;
    byId("resume").hidden = true;
    byId("live").textContent = "No connection to the server; this is the last that it has sent.";
  });
  byId("resume").addEventListener("click", () => {
    const question = "Resume the run? Decisions are applied, and jobs that were not submitted are submitted and billed.";
    if (confirm(question)) act("resume", {});
  });

  extras.actionsOf = ({ card, key, status, prompt }) => {
    const job = Number(card.dataset.job);
    const fields = make("fieldset", { disabled: !idle });
    const decide = (decision, more = {}) => act("decide", { job, key, decision, ...more });
    if (status === "unconfirmed") {
      const id = make("input", { ariaLabel: "The provider's id of it", placeholder: "the provider's id", spellcheck: false });
      const twice = "Submit it again? It is billed twice if the provider had it after all.";
      fields.append(
        make("p", {}, "Look for it in the provider's own list of tasks first. Decisions apply when the run is resumed."),
        make("div", { className: "row" }, id, button("Attach", () => decide("attach", { id: id.value }))),
        make(
          "div",
          { className: "row" },
          button("Resubmit", () => confirm(twice) && decide("resubmit")),
          button("Abandon", () => decide("abandon")),
        ),
      );
    } else if (["failed", "cancelled", "expired"].includes(status)) {
      const area = make("textarea", { value: prompt, spellcheck: true, dir: "auto" });
      const again = "Submit it again with this prompt? It is billed again.";
      const retry = button("Retry with this prompt", async () => {
        if (confirm(again)) await act("retry", { job, key, prompt: area.value });
      });
      fields.append(make("label", {}, "Prompt", area), make("div", { className: "row" }, retry));
    } else return null;
    if (!idle) fields.prepend(make("p", {}, why));
    return fields;
  };
})();
