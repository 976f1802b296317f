// The console's few behaviours. Pages can be read without them; nothing is sent but by
// forms, and by the poll of a running sync.
"use strict";

(() => {
  const asked = "vwAsked";

  /** Ask before a form is sent whose button, or which itself, carries data-ask. */
  function ask(event) {
    const form = event.target;
    const button = event.submitter;
    const words = question(form, button);
    if (!words || form.dataset[asked]) {
      delete form.dataset[asked];
      busy(button);
      return;
    }
    event.preventDefault();
    const dialog = document.createElement("dialog");
    dialog.className = "vw-ask";
    const title = document.createElement("h2");
    title.textContent = words.title;
    const text = document.createElement("p");
    text.textContent = words.text;
    const buttons = document.createElement("div");
    buttons.className = "vw-actions";
    const cancel = document.createElement("button");
    cancel.className = "vw-button";
    cancel.textContent = "Cancel";
    const go = document.createElement("button");
    go.className = "vw-button vw-primary";
    go.textContent = words.go;
    buttons.append(cancel, go);
    dialog.append(title, text, buttons);
    document.body.append(dialog);
    cancel.addEventListener("click", () => dialog.close());
    dialog.addEventListener("close", () => dialog.remove());
    go.addEventListener("click", () => {
      dialog.close();
      form.dataset[asked] = "yes";
      form.requestSubmit(button);
    });
    dialog.showModal();
    go.focus();
  }

  /** Return what to ask, null where there is nothing to ask. */
  function question(form, button) {
    const source = button && button.dataset.ask ? button : form;
    if (source.dataset.ask) {
      return {
        title: source.dataset.ask,
        text: source.dataset.askText || "",
        go: source.dataset.askGo || "Continue",
      };
    }
    if (form.id === "changelist-form" && button && button.name === "index") {
      const action = form.querySelector("select[name=action]");
      const chosen = action && action.selectedOptions[0];
      const count = form.querySelectorAll("input.action-select:checked").length;
      const name = chosen ? chosen.textContent.trim() : "";
      // “Attest a field…” asks on a page of its own.
      if (chosen && chosen.value && !name.endsWith("…")) {
        return {
          title: `${name}?`,
          text: count === 1 ? "One row is selected." : `${count} rows are selected.`,
          go: name,
        };
      }
    }
    return null;
  }

  /** Show that something was started; a second click must not start it twice. */
  function busy(button) {
    if (!button || !button.dataset.busy) return;
    setTimeout(() => {
      button.disabled = true;
      button.textContent = button.dataset.busy;
    });
  }

  /** Copy a remedy; the button says that it is done. */
  async function copy(button) {
    const text = document.getElementById(button.dataset.copy).textContent;
    const before = button.textContent;
    try {
      await navigator.clipboard.writeText(text);
      button.textContent = "Copied";
    } catch {
      // Without HTTPS browsers keep the clipboard closed: mark the text instead.
      getSelection().selectAllChildren(document.getElementById(button.dataset.copy));
      button.textContent = document.execCommand("copy") ? "Copied" : "Press Ctrl+C";
    }
    setTimeout(() => (button.textContent = before), 1600);
  }

  /** Show one panel of a page; the address says which, so that it can be sent around. */
  function tabs(nav) {
    const links = [...nav.querySelectorAll("a[href^='#']")];
    const panels = links.map((link) => document.querySelector(link.hash));
    function show() {
      const target = location.hash && document.getElementById(decodeURIComponent(location.hash.slice(1)));
      const wanted = panels.findIndex((panel) => target && panel.contains(target));
      const chosen = Math.max(wanted, 0);
      links.forEach((link, index) => {
        link.setAttribute("aria-selected", String(index === chosen));
        panels[index].hidden = index !== chosen;
      });
      if (target && target !== panels[chosen]) {
        if (target instanceof HTMLDetailsElement) target.open = true;
        target.scrollIntoView();
      }
    }
    nav.setAttribute("role", "tablist");
    links.forEach((link, index) => {
      link.setAttribute("role", "tab");
      panels[index].setAttribute("role", "tabpanel");
      link.addEventListener("click", (event) => {
        event.preventDefault();
        history.replaceState(null, "", link.hash);
        show();
      });
    });
    addEventListener("hashchange", show);
    show();
  }

  /** Fetch a fragment again and again while it asks for it. */
  function poll(place) {
    const address = place.dataset.poll;
    if (!address) return;
    setTimeout(async () => {
      let next = place;
      try {
        const answer = await fetch(address, { headers: { Accept: "text/html" } });
        if (answer.redirected || (answer.status >= 400 && answer.status < 500)) return;
        if (answer.ok) {
          const page = new DOMParser().parseFromString(await answer.text(), "text/html");
          const fresh = page.body.firstElementChild;
          if (fresh.dataset.finished) {
            location.reload();
            return;
          }
          place.replaceWith(fresh);
          next = fresh;
        }
      } catch {
        // The server is away for a moment; ask again.
      }
      poll(next);
    }, Number(place.dataset.every || 1000));
  }

  /** Narrow a long menu to what is typed. */
  function narrow(input) {
    const typed = input.value.toLowerCase();
    for (const link of input.closest(".vw-menu").querySelectorAll("a")) {
      link.hidden = !link.textContent.toLowerCase().includes(typed);
    }
  }

  document.addEventListener("submit", ask);
  document.addEventListener("click", (event) => {
    const button = event.target.closest("[data-copy]");
    if (button) {
      event.preventDefault();
      copy(button);
    }
    for (const menu of document.querySelectorAll("details[data-menu][open]")) {
      if (!menu.contains(event.target)) menu.open = false;
    }
  });
  document.addEventListener("keydown", (event) => {
    if (event.key !== "Escape") return;
    for (const menu of document.querySelectorAll("details[data-menu][open]")) menu.open = false;
  });
  document.addEventListener("input", (event) => {
    if (event.target.matches("[data-narrow]")) narrow(event.target);
  });
  document.addEventListener("DOMContentLoaded", () => {
    document.querySelectorAll("[data-tabs]").forEach(tabs);
    document.querySelectorAll("[data-poll]").forEach(poll);
    // Icons are ligatures: a screen reader would read their names.
    for (const icon of document.querySelectorAll(".material-symbols-outlined")) {
      icon.setAttribute("aria-hidden", "true");
    }
  });
})();
