// What pages gain with JavaScript; all of them work without it.

// A button beside each password field shows what was typed.
for (const field of document.querySelectorAll("[data-show]")) {
  const input = field.querySelector("input");
  const button = document.createElement("button");
  const paint = () => {
    const shown = input.type === "text";
    button.textContent = shown ? field.dataset.hide : field.dataset.show;
    button.setAttribute("aria-label", shown ? field.dataset.hideName : field.dataset.showName);
  };
  button.type = "button";
  button.setAttribute("aria-controls", input.id);
  button.addEventListener("click", () => {
    input.type = input.type === "text" ? "password" : "text";
    paint();
  });
  // A shown password must not be kept by the browser's form history.
  input.form.addEventListener("submit", () => { input.type = "password"; });
  field.classList.add("reveal");
  field.append(button);
  paint();
}

// Sending twice is never meant.
for (const form of document.forms) {
  form.addEventListener("submit", (event) => {
    if (form.dataset.sent) event.preventDefault();
    form.dataset.sent = "yes";
  });
}
addEventListener("pageshow", () => {
  for (const form of document.forms) delete form.dataset.sent;
});

// What stands there to be kept can be copied, printed and downloaded. Nothing
// leaves the browser.
for (const shown of document.querySelectorAll("[data-copy]")) {
  const { copy, copied, print, download, file, text } = shown.dataset;
  const tools = document.createElement("div");
  const tool = (label, act) => {
    const button = document.createElement("button");
    button.type = "button";
    button.className = "small";
    button.textContent = label;
    button.addEventListener("click", () => act(button));
    tools.append(button);
  };
  tools.className = "tools";
  if (navigator.clipboard) {
    const said = document.createElement("span");
    said.className = "hidden";
    said.setAttribute("role", "status");
    tools.append(said);
    tool(copy, async (button) => {
      await navigator.clipboard.writeText(text);
      button.textContent = said.textContent = copied;
      setTimeout(() => { button.textContent = copy; said.textContent = ""; }, 4000);
    });
  }
  if (print) tool(print, () => window.print());
  if (download) {
    tool(download, () => {
      const link = document.createElement("a");
      link.href = URL.createObjectURL(new Blob([text + "\n"], { type: "text/plain" }));
      link.download = file;
      link.click();
      setTimeout(() => URL.revokeObjectURL(link.href), 1000);
    });
  }
  (shown.closest("p") ?? shown).after(tools);
}
