//! Menus and lines on a terminal that knows control sequences, by dialoguer.

use console::{Style, style};
use dialoguer::theme::ColorfulTheme;
use dialoguer::{Input, Select};

use super::{Answer, BACK, Kind, Question, Reply};

/// What is shown for it in a menu.
const BACK_ENTRY: &str = "< Back";

/// Asks; an error is an interruption. Nothing of it stays on the screen.
pub(super) fn ask(question: &Question, has_before: bool) -> dialoguer::Result<Reply> {
    match &question.kind {
        Kind::Choice { options, proposed } => choose(&question.prompt, options, *proposed, has_before),
        Kind::Line { proposed } => line(&question.prompt, proposed),
    }
}

fn choose(prompt: &str, options: &[String], proposed: usize, has_before: bool) -> dialoguer::Result<Reply> {
    let theme = theme("");
    let menu = Select::with_theme(&theme).with_prompt(prompt).items(options);
    let menu = if has_before { menu.item(BACK_ENTRY) } else { menu };
    let chosen = menu.default(proposed.min(options.len() - 1)).report(false).interact_opt()?;
    Ok(match chosen {
        Some(index) if index < options.len() => Reply::Answer(Answer::Choice(index)),
        // The entry, or the escape key.
        Some(_) | None => Reply::Back,
    })
}

fn line(prompt: &str, proposed: &str) -> dialoguer::Result<Reply> {
    let theme = theme(">");
    let input = Input::<String>::with_theme(&theme).with_prompt(format!("{prompt}, or \"{BACK}\""));
    let input = if proposed.is_empty() { input } else { input.default(proposed.to_owned()) };
    let typed = input.report(false).interact_text()?;
    let typed = typed.trim();
    Ok(if typed.eq_ignore_ascii_case(BACK) {
        Reply::Back
    } else {
        Reply::Answer(Answer::Line(typed.to_owned()))
    })
}

/// Characters that the font of a bare console has, too.
fn theme(suffix: &str) -> ColorfulTheme {
    let mark = |text: &str| style(text.to_owned()).for_stderr();
    ColorfulTheme {
        prompt_prefix: mark("?").yellow().bold(),
        prompt_suffix: mark(suffix),
        success_prefix: mark("-").green(),
        success_suffix: mark(">").green(),
        error_prefix: mark("!").red(),
        active_item_prefix: mark(">").cyan().bold(),
        inactive_item_prefix: mark(" "),
        hint_style: Style::new().for_stderr(),
        ..ColorfulTheme::default()
    }
}
