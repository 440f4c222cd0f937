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
