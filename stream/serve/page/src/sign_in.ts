// Asks the user for the access token, once for all requests that wait for it.
import { html } from "./element";

export class SignIn {
  private pending: Promise<string> | null = null;

  /** Returns the token that the user enters; requests that ask at the same time share one dialog. */
  readonly ask = (trouble: string): Promise<string> => {
    this.pending ??= this.open(trouble).finally(() => {
      this.pending = null;
    });
    return this.pending;
  };

  private open(trouble: string): Promise<string> {
    const field = html("input", { type: "password", name: "token", autocomplete: "off", required: true, id: "token" });
    const form = html(
      "form",
      { method: "dialog" },
      html("h2", { id: "sign-in-title" }, "Access token"),
      html("p", {}, "This server requires a token. The token is kept until you close this tab."),
      trouble !== "" && html("p", { class: "trouble", role: "alert" }, trouble),
      html("label", { for: "token" }, "Token"),
      field,
      html("button", { type: "submit" }, "Sign in"),
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
