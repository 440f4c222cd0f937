// Passkeys. A form with data-passkey ("get" or "create") names the addresses to
// begin and to finish at; see page.PasskeyCalls. When a passkey was used or made,
// the form itself is sent, and the server takes the outcome that it has kept.

const alertBox = document.getElementById("passkey-alert");
const supported = Boolean(window.PublicKeyCredential && navigator.credentials);
const json = window.PublicKeyCredential ?? {};

// Challenges live for five minutes; an offer in the background is renewed before.
const offerLife = 4 * 60 * 1000;
const mostOffers = 15;

// Problem is a reason with a sentence of its own.
class Problem extends Error {
  constructor(name, say) {
    super(name);
    this.name = name;
    this.say = say;
  }
}

// Servers may send standard base64; browsers take base64url without padding.
const tidy = (s) => s.replaceAll("+", "-").replaceAll("/", "_").replace(/=+$/, "");

function bytes(s) {
  const plain = tidy(s).replaceAll("-", "+").replaceAll("_", "/");
  return Uint8Array.from(atob(plain), (c) => c.charCodeAt(0));
}

function text(buffer) {
  return tidy(btoa(Array.from(new Uint8Array(buffer), (b) => String.fromCharCode(b)).join("")));
}

// withBytes returns the options with change applied to every member of bytes.
function withBytes(options, change) {
  const keys = (list) => list?.map((key) => ({ ...key, id: change(key.id) }));
  const out = { ...options, challenge: change(options.challenge) };
  if (options.user) out.user = { ...options.user, id: change(options.user.id) };
  if (options.allowCredentials) out.allowCredentials = keys(options.allowCredentials);
  if (options.excludeCredentials) out.excludeCredentials = keys(options.excludeCredentials);
  return out;
}

function parse(kind, options) {
  const native = kind === "create" ? "parseCreationOptionsFromJSON" : "parseRequestOptionsFromJSON";
  if (json[native]) return json[native](withBytes(options, tidy));
  const { extensions, ...rest } = options; // they may hold bytes that only the browser's own parser knows
  return withBytes(rest, bytes);
}

function pack(credential) {
  try {
    return credential.toJSON();
  } catch {
    // An old browser, or a password manager's own object.
  }
  const r = credential.response;
  const response = { clientDataJSON: text(r.clientDataJSON) };
  for (const name of ["attestationObject", "authenticatorData", "signature", "userHandle"]) {
    if (r[name]) response[name] = text(r[name]);
  }
  if (r.getTransports) response.transports = r.getTransports();
  return {
    id: credential.id,
    rawId: text(credential.rawId),
    type: credential.type,
    authenticatorAttachment: credential.authenticatorAttachment ?? undefined,
    clientExtensionResults: credential.getClientExtensionResults?.() ?? {},
    response,
  };
}

async function call(form, address, body, signal) {
  let answer;
  try {
    answer = await fetch(address, {
      method: "POST",
      mode: "same-origin",
      credentials: "same-origin",
      headers: { "Content-Type": "application/json", Accept: "application/json", "X-CSRF-Token": form.elements.csrf_token.value },
      body: JSON.stringify(body),
      signal,
    });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Problem("NetworkError", alertBox.dataset.network);
  }
  const said = await answer.json().catch(() => ({}));
  if (answer.ok) return said;
  throw new Problem(`Status${answer.status}`, answer.status < 500 && typeof said.error === "string" ? said.error : alertBox.dataset.failed);
}

// ceremony asks for a passkey and hands it to the server. With mediation
// "conditional" the browser offers it in the field for the identifier.
async function ceremony(form, { signal, mediation, identifier }) {
  const { passkey: kind, begin, finish } = form.dataset;
  const { publicKey } = await call(form, begin, { identifier }, signal);
  const request = { publicKey: parse(kind, publicKey), signal };
  if (mediation) request.mediation = mediation;
  const started = performance.now();
  let credential;
  try {
    credential = await navigator.credentials[kind](request);
  } catch (error) {
    // Browsers give one name to both, so that pages learn little.
    if (error.name === "NotAllowedError" && publicKey.timeout && performance.now() - started >= publicKey.timeout) {
      throw new Problem("TimeoutError", alertBox.dataset.timeout);
    }
    throw error;
  }
  if (!credential) throw new DOMException("", "NotAllowedError");
  try {
    await call(form, finish, pack(credential), signal);
  } catch (error) {
    throw Object.assign(error, { used: true });
  }
}

function sentence(error) {
  const say = alertBox.dataset;
  switch (error.name) {
    case "NotAllowedError":
      return say.cancelled;
    case "TimeoutError":
      return say.timeout;
    case "InvalidStateError":
      return say.exists;
    case "NotSupportedError":
    case "SecurityError":
      return say.unsupported;
  }
  return error.say ?? say.failed;
}

function show(form, error) {
  const reason = form.elements.web_authn_error;
  if (reason) reason.value = error.name;
  alertBox.hidden = false;
  alertBox.textContent = sentence(error);
  alertBox.scrollIntoView({ block: "nearest" });
}

// send sends the form: a sign-in as the passkey's view, whatever view it was
// used in; anything else by its button.
function send(form, button) {
  const get = form.dataset.passkey === "get";
  if (form.elements.web_authn_error) form.elements.web_authn_error.value = "";
  if (get) {
    form.elements.authn_mode.value = "web_authn_view";
    form.noValidate = true;
  }
  form.dataset.proven = "yes";
  form.requestSubmit(get ? null : button);
}

function setUp(form) {
  const field = form.elements.identifier;
  let running = null; // the one request that may be open
  let offers = 0;

  // offer lets the browser propose passkeys in the field for the identifier.
  async function offer() {
    if (form.dataset.passkey !== "get" || !field?.getAttribute("autocomplete").includes("webauthn") || offers++ >= mostOffers) return;
    if (!(await json.isConditionalMediationAvailable?.()) || running) return;
    const mine = (running = new AbortController());
    const renew = setTimeout(() => {
      mine.abort();
      if (running === mine) running = null;
      if (!document.hidden) return offer();
      document.addEventListener("visibilitychange", offer, { once: true });
    }, offerLife);
    try {
      await ceremony(form, { signal: mine.signal, mediation: "conditional", identifier: "" });
      send(form);
    } catch (error) {
      // Nobody asked for the offer, so it matters only when it was taken.
      if (error.used && error.name !== "AbortError") show(form, error);
    } finally {
      clearTimeout(renew);
      if (running === mine) running = null;
    }
  }

  // press answers to a button.
  async function press(button) {
    if (button.getAttribute("aria-busy") === "true") return;
    if (form.dataset.passkey === "create" && !form.reportValidity()) return;
    running?.abort();
    const mine = (running = new AbortController());
    alertBox.hidden = true;
    button.setAttribute("aria-busy", "true");
    try {
      if (!supported) throw new DOMException("", "NotSupportedError");
      await ceremony(form, { signal: mine.signal, identifier: field?.value.trim() ?? "" });
      send(form, button);
    } catch (error) {
      show(form, error);
      if (running === mine) running = null;
      offer();
    } finally {
      button.removeAttribute("aria-busy");
    }
  }

  for (const button of form.querySelectorAll("[data-passkey-button]")) {
    button.addEventListener("click", (event) => {
      if (form.dataset.proven) return; // send: let it go
      event.preventDefault();
      press(button);
    });
  }
  addEventListener("pageshow", (event) => {
    if (!event.persisted) return;
    delete form.dataset.proven;
    running = null;
    offer();
  });
  if (supported) offer();
}

for (const form of document.querySelectorAll("form[data-passkey]")) setUp(form);
