//! Asking once before something is written.

use dialoguer::Confirm;
use dialoguer::theme::ColorfulTheme;

use crate::failure::Failure;
use crate::roots;

/// Asks; a no, or Ctrl-C, ends the verb with nothing written. Without a terminal nobody is asked.
pub(crate) fn ask(question: &'static str, hint: &'static str) -> Result<(), Failure> {
    if !roots::has_terminal() {
        return Err(Failure::NoTerminal { question, hint });
    }
    let answer =
        Confirm::with_theme(&ColorfulTheme::default()).with_prompt(question).default(false).interact_opt();
    match answer {
        Ok(Some(true)) => Ok(()),
        Ok(_) | Err(_) => Err(Failure::Interrupted),
    }
}
