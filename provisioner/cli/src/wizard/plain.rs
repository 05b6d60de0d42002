//! The same questions as numbered lines: for terminals that know only lines, for screen readers, and
//! for whoever likes it. No control sequence is written.

use std::fmt::Write as _;
use std::io;
use std::os::fd::AsFd;

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use super::idle::Idle;
use super::{Answer, BACK, Kind, Question, Reply};
use crate::narrate;

/// How soon Ctrl-C is noticed, in milliseconds.
const TICK: u16 = 50;

/// Why there is no answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum NoAnswer {
    /// Ctrl-C, or the end of the input.
    Interrupted,
    /// Nobody typed anything for too long.
    Silence,
}

/// Asks until something is typed that can be an answer.
pub(super) fn ask(
    question: &Question,
    is_interrupted: &dyn Fn() -> bool,
    idle: Option<&mut Idle>,
) -> Result<Reply, NoAnswer> {
    narrate::line(&shown(question));
    let mut idle = idle;
    loop {
        narrate::part(&hint(question));
        let typed = read_line(is_interrupted, idle.as_deref_mut())?;
        match understood(question, typed.trim()) {
            Ok(reply) => return Ok(reply),
            Err(why) => narrate::line(&why),
        }
    }
}

fn shown(question: &Question) -> String {
    let mut text = question.prompt.clone();
    if let Kind::Choice { options, .. } = &question.kind {
        for (index, option) in options.iter().enumerate() {
            let _ = write!(text, "\n  {:>2}  {option}", index + 1);
        }
    }
    text
}

fn hint(question: &Question) -> String {
    match &question.kind {
        Kind::Choice { proposed, .. } => format!("Number, \"{BACK}\", or Enter for {}: ", proposed + 1),
        Kind::Line { proposed } if proposed.is_empty() => format!("Text, or \"{BACK}\": "),
        Kind::Line { proposed } => format!("Text, \"{BACK}\", or Enter for {proposed}: "),
    }
}

/// What a line means.
pub(super) fn understood(question: &Question, typed: &str) -> Result<Reply, String> {
    if typed.eq_ignore_ascii_case(BACK) {
        return Ok(Reply::Back);
    }
    let answer = match &question.kind {
        Kind::Choice { proposed, .. } if typed.is_empty() => Answer::Choice(*proposed),
        Kind::Choice { options, .. } => match typed.parse::<usize>() {
            Ok(number) if (1..=options.len()).contains(&number) => Answer::Choice(number - 1),
            _ => {
                let shown = typed.escape_debug();
                return Err(format!("\"{shown}\" is no number from 1 to {}.", options.len()));
            }
        },
        Kind::Line { proposed } if typed.is_empty() => Answer::Line(proposed.clone()),
        Kind::Line { .. } => Answer::Line(typed.to_owned()),
    };
    Ok(Reply::Answer(answer))
}

/// A line as the terminal hands it over. Not by way of a buffer: a second line in it would be heard by
/// nobody who waits for the terminal.
fn read_line(is_interrupted: &dyn Fn() -> bool, mut idle: Option<&mut Idle>) -> Result<String, NoAnswer> {
    let stdin = io::stdin();
    let mut bytes = Vec::new();
    loop {
        if is_interrupted() {
            return Err(NoAnswer::Interrupted);
        }
        if idle.as_mut().is_some_and(|idle| idle.is_over()) {
            return Err(NoAnswer::Silence);
        }
        let mut waited = [PollFd::new(stdin.as_fd(), PollFlags::POLLIN)];
        match poll(&mut waited, PollTimeout::from(TICK)) {
            Ok(0) | Err(Errno::EINTR) => continue,
            Ok(_) => {}
            Err(_) => return Err(NoAnswer::Interrupted),
        }
        let mut byte = [0; 1];
        match nix::unistd::read(&stdin, &mut byte) {
            Err(Errno::EINTR) => {}
            // The terminal is gone, or Ctrl-D was typed: nobody goes on here.
            Ok(0) | Err(_) => return Err(NoAnswer::Interrupted),
            Ok(_) if byte == *b"\n" => return Ok(String::from_utf8_lossy(&bytes).into_owned()),
            Ok(_) => bytes.extend(byte),
        }
    }
}
