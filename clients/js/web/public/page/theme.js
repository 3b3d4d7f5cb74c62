// Before the first paint: the colours that were chosen, so that a page in the other ones is never seen.
try {
  const theme = localStorage.getItem("hub.theme");
  if (theme === "light" || theme === "dark") document.documentElement.dataset.theme = theme;
} catch {
  // storage is off: the system's colours
}
