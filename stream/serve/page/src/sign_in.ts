// Asks for the access token, once for all requests that wait for it.
import { html } from "./element";

export class SignIn {
  private asked: Promise<string> | null = null;

  /** The token that the person gives; several who ask at once share one question. */
  readonly ask = (trouble: string): Promise<string> => {
    this.asked ??= this.open(trouble).finally(() => {
      this.asked = null;
    });
    return this.asked;
  };

  private open(trouble: string): Promise<string> {
    const field = html("input", { type: "password", name: "token", autocomplete: "off", required: true, id: "token" });
    const form = html(
      "form",
      { method: "dialog" },
      html("h2", { id: "sign-in-title" }, "Access token"),
      html("p", {}, "This server asks for a token. It is kept until you close this tab."),
      trouble !== "" && html("p", { class: "trouble", role: "alert" }, trouble),
      html("label", { for: "token" }, "Token"),
      field,
      html("button", { type: "submit" }, "Go on"),
    );
    const dialog = html("dialog", { class: "sign-in", "aria-labelledby": "sign-in-title" }, form);
    dialog.addEventListener("cancel", (event) => event.preventDefault());
    document.body.append(dialog);
    dialog.showModal();
    return new Promise((resolve) => {
      form.addEventListener("submit", () => {
        dialog.remove();
        resolve(field.value.trim());
      });
    });
  }
}
