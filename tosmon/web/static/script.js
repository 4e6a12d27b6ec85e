/* Comfort only: every page is whole without this. Keys n and p step through a change; a time shows the reader's own on hover. */
(() => {
  "use strict";

  const changes = [...document.querySelectorAll("[data-change]")];
  if (changes.length) {
    for (const keys of document.querySelectorAll(".keys")) keys.hidden = false;
    let at = -1;
    const go = (step) => {
      at = Math.min(Math.max(at + step, 0), changes.length - 1);
      changes[at].scrollIntoView({ block: "center" });
      changes[at].focus({ preventScroll: true });
    };
    document.addEventListener("focusin", (event) => {
      const found = changes.indexOf(event.target.closest("[data-change]"));
      if (found >= 0) at = found;
    });
    document.addEventListener("keydown", (event) => {
      if (event.ctrlKey || event.metaKey || event.altKey || /^(input|select|textarea)$/i.test(event.target.tagName)) return;
      if (event.key === "n") go(1);
      if (event.key === "p") go(-1);
    });
  }

  const local = new Intl.DateTimeFormat(undefined, {
    day: "numeric", month: "long", year: "numeric", hour: "2-digit", minute: "2-digit", timeZoneName: "short",
  });
  for (const time of document.querySelectorAll("time.local")) {
    const at = new Date(time.dateTime);
    if (Number.isNaN(at.getTime())) continue;
    time.title = local.format(at);
  }

  const zone = document.querySelector("select[data-guess]");
  const here = local.resolvedOptions().timeZone;
  if (zone && [...zone.options].some((option) => option.value === here)) zone.value = here;

  const opened = () => {
    const target = location.hash && document.getElementById(decodeURIComponent(location.hash.slice(1)));
    const fold = target && target.closest("details");
    if (fold && !fold.open) { fold.open = true; target.scrollIntoView(); }
  };
  addEventListener("hashchange", opened);
  opened();

  addEventListener("beforeprint", () => { for (const fold of document.querySelectorAll("details")) fold.open = true; });
})();
