//! Assignments in a piece of shell: enough of the grammar to know which ones stand alone, which
//! have a literal value, and where a quote is never closed. Nothing is ever run.
//!
//! It serves `/etc/default/grub` (sh), `mkinitcpio.conf` and its presets (bash). What it does not
//! understand it calls computed, never literal. A carriage return before a newline counts as part
//! of the line end.

use std::ops::Range;

use super::TextError;

/// One `NAME=value`, `NAME+=value` or `NAME=(values)`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Assignment<'a> {
    pub(super) name: &'a str,
    /// Where the name stands, counted from 1.
    pub(super) line: usize,
    /// `+=`.
    pub(super) appends: bool,
    pub(super) value: Value,
    /// Not inside `if`, a loop, a function, a subshell, or behind `&&`, `||` or `|`.
    pub(super) alone: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Value {
    Word(Word),
    Array(Vec<Word>),
}

/// One word with its quotes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Word {
    /// Its bytes in the text, quotes included.
    pub(super) span: Range<usize>,
    /// Its value, where no shell is needed to know it.
    pub(super) literal: Option<String>,
}

/// Every assignment of the text that lasts, in order.
pub(super) fn assignments(text: &str) -> Result<Vec<Assignment<'_>>, TextError> {
    let mut scanner = Scanner { text, at: 0 };
    scanner.script()
}

/// Words behind which a command is still to come.
const OPENERS: &[&str] = &["if", "case", "do", "{"];
const CLOSERS: &[&str] = &["fi", "esac", "done", "}"];
const KEYWORDS: &[&str] = &["then", "else", "elif", "while", "until", "!"];
/// Commands whose arguments are assignments.
const DECLARERS: &[&str] = &["export", "declare", "typeset", "readonly"];

struct Scanner<'a> {
    text: &'a str,
    at: usize,
}

/// What the scanner knows of the place it has come to.
#[derive(Default)]
struct State<'a> {
    found: Vec<Assignment<'a>>,
    /// Assignments of the present simple command: they last unless a command word follows.
    pending: Vec<Assignment<'a>>,
    /// A command word was seen: assignments before it were its environment only.
    runs: bool,
    /// That word was one of [`DECLARERS`].
    declares: bool,
    /// How many compound commands and parentheses are open.
    depth: usize,
    /// Behind `&&`, `||` or `|`.
    conditional: bool,
}

impl State<'_> {
    fn takes_assignments(&self) -> bool {
        !self.runs || self.declares
    }

    /// Ends the simple command at an operator or a newline.
    fn end_command(&mut self, operator: &str) {
        let empty = self.pending.is_empty() && !self.runs;
        // A part of a pipeline and a job in the background are subshells: nothing of them lasts.
        if self.takes_assignments() && !matches!(operator, "|" | "&") {
            self.found.append(&mut self.pending);
        }
        self.pending.clear();
        (self.runs, self.declares) = (false, false);
        match operator {
            "(" => self.depth += 1,
            ")" => self.depth = self.depth.saturating_sub(1),
            "&&" | "||" | "|" => self.conditional = true,
            // A line may end behind `&&`: what follows is still tied to it.
            "\n" if empty => {}
            _ => self.conditional = false,
        }
    }

    fn first_word(&mut self, word: &str) {
        if OPENERS.contains(&word) {
            self.depth += 1;
        } else if CLOSERS.contains(&word) {
            self.depth = self.depth.saturating_sub(1);
        } else if !KEYWORDS.contains(&word) {
            self.runs = true;
            self.declares = DECLARERS.contains(&word);
        }
    }
}

impl<'a> Scanner<'a> {
    fn script(&mut self) -> Result<Vec<Assignment<'a>>, TextError> {
        let mut state = State::default();
        while let Some(c) = self.peek() {
            match c {
                ' ' | '\t' | '\r' | '<' | '>' => self.at += 1,
                '\\' if self.continuation() => self.skip_continuation(),
                '#' => self.skip_comment(),
                '\n' | ';' | '&' | '|' | '(' | ')' => {
                    let pair = ["&&", "||", ";;"].into_iter().find(|pair| self.rest().starts_with(pair));
                    let operator = pair.unwrap_or(&self.rest()[..1]);
                    state.end_command(operator);
                    self.at += operator.len();
                }
                _ if state.takes_assignments() && self.assignment_head().is_some() => {
                    let alone = state.depth == 0 && !state.conditional;
                    state.pending.extend(self.assignment(alone)?);
                }
                _ => {
                    let word = self.word(false)?;
                    if !state.runs {
                        state.first_word(&self.text[word.span]);
                    }
                }
            }
        }
        state.end_command("");
        Ok(state.found)
    }

    fn rest(&self) -> &'a str {
        &self.text[self.at..]
    }

    fn peek(&self) -> Option<char> {
        self.rest().chars().next()
    }

    fn line(&self, at: usize) -> usize {
        self.text[..at].matches('\n').count() + 1
    }

    fn continuation(&self) -> bool {
        self.rest().starts_with("\\\n") || self.rest().starts_with("\\\r\n")
    }

    fn skip_continuation(&mut self) {
        self.at += if self.rest().starts_with("\\\n") { 2 } else { 3 };
    }

    fn skip_comment(&mut self) {
        self.at += self.rest().find('\n').unwrap_or(self.rest().len());
    }

    /// The length of the name, whether it appends, and the length of name and operator.
    fn assignment_head(&self) -> Option<(usize, bool, usize)> {
        let rest = self.rest();
        let name = rest.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(rest.len());
        if name == 0 || rest.as_bytes()[0].is_ascii_digit() {
            return None;
        }
        match rest.as_bytes()[name..] {
            [b'=', ..] => Some((name, false, name + 1)),
            [b'+', b'=', ..] => Some((name, true, name + 2)),
            _ => None,
        }
    }

    fn assignment(&mut self, alone: bool) -> Result<Option<Assignment<'a>>, TextError> {
        let Some((name, appends, head)) = self.assignment_head() else { return Ok(None) };
        let (name, line) = (&self.text[self.at..self.at + name], self.line(self.at));
        self.at += head;
        let value = if self.rest().starts_with('(') {
            Value::Array(self.array(name)?)
        } else {
            Value::Word(self.word(false)?)
        };
        Ok(Some(Assignment { name, line, appends, value, alone }))
    }

    fn array(&mut self, name: &str) -> Result<Vec<Word>, TextError> {
        let start = self.at;
        let mut words = Vec::new();
        self.at += 1;
        loop {
            match self.peek() {
                None => {
                    let why = "opens an array that no `)` closes";
                    return Err(TextError::at(self.line(start), name, why));
                }
                Some(')') => {
                    self.at += 1;
                    return Ok(words);
                }
                Some(' ' | '\t' | '\r' | '\n') => self.at += 1,
                Some('#') => self.skip_comment(),
                Some('\\') if self.continuation() => self.skip_continuation(),
                Some(c @ (';' | '&' | '|' | '<' | '>' | '(')) => {
                    let why = "stands in an array, where only words may stand";
                    return Err(TextError::at(self.line(self.at), c, why));
                }
                Some(_) => words.push(self.word(true)?),
            }
        }
    }

    /// One word up to a blank, a newline or an operator.
    fn word(&mut self, in_array: bool) -> Result<Word, TextError> {
        let start = self.at;
        let mut literal = Some(String::new());
        while let Some(c) = self.peek() {
            match c {
                ' ' | '\t' | '\n' | ';' | '&' | '|' | '<' | '>' | '(' | ')' => break,
                '\r' if self.rest().starts_with("\r\n") || self.rest() == "\r" => break,
                '\\' if self.continuation() => self.skip_continuation(),
                '\\' => {
                    self.at += 1;
                    let escaped = self.bump();
                    push(&mut literal, Some(escaped));
                }
                '\'' => {
                    let inner = self.single()?;
                    push(&mut literal, Some(inner));
                }
                '"' => {
                    let inner = self.double()?;
                    push(&mut literal, inner.as_deref());
                }
                '$' | '`' => {
                    self.expansion()?;
                    push(&mut literal, None);
                }
                // A list in braces makes several words of one.
                '{' if in_array => {
                    self.at += 1;
                    push(&mut literal, None);
                }
                _ => {
                    let plain = self.bump();
                    push(&mut literal, Some(plain));
                }
            }
        }
        Ok(Word { span: start..self.at, literal })
    }

    /// Takes one character.
    fn bump(&mut self) -> &'a str {
        let length = self.peek().map_or(0, char::len_utf8);
        let taken = &self.rest()[..length];
        self.at += length;
        taken
    }

    fn unclosed(&self, start: usize, what: &str) -> TextError {
        let whole = self.text[start..].lines().next().unwrap_or_default();
        TextError::at(self.line(start), whole, format!("opens with {what} that is never closed"))
    }

    fn single(&mut self) -> Result<&'a str, TextError> {
        let start = self.at;
        self.at += 1;
        let length = self.rest().find('\'').ok_or_else(|| self.unclosed(start, "a single quote"))?;
        let inner = &self.rest()[..length];
        self.at += length + 1;
        Ok(inner)
    }

    fn double(&mut self) -> Result<Option<String>, TextError> {
        let start = self.at;
        let (mut value, mut literal) = (String::new(), true);
        self.at += 1;
        loop {
            match self.peek() {
                None => return Err(self.unclosed(start, "a double quote")),
                Some('"') => {
                    self.at += 1;
                    return Ok(literal.then_some(value));
                }
                Some('\\') if self.rest().starts_with("\\\n") => self.at += 2,
                Some('\\') => {
                    self.at += 1;
                    if !matches!(self.peek(), Some('$' | '`' | '"' | '\\')) {
                        value.push('\\');
                    }
                    value.push_str(self.bump());
                }
                Some('$' | '`') => {
                    self.expansion()?;
                    literal = false;
                }
                Some(_) => value.push_str(self.bump()),
            }
        }
    }

    /// Skips `$name`, `${...}`, `$(...)` or a command in backticks. A `$` alone counts as one: it
    /// is safer to call it computed.
    fn expansion(&mut self) -> Result<(), TextError> {
        let start = self.at;
        if self.bump() == "`" {
            loop {
                match self.bump() {
                    "" => return Err(self.unclosed(start, "a backtick")),
                    "`" => return Ok(()),
                    "\\" => {
                        self.bump();
                    }
                    _ => {}
                }
            }
        }
        match self.peek() {
            Some('(') => self.nested(start, ')')?,
            Some('{') => self.nested(start, '}')?,
            Some('\'') => {
                self.single()?;
            }
            _ => {}
        }
        Ok(())
    }

    fn nested(&mut self, start: usize, close: char) -> Result<(), TextError> {
        let open = self.bump();
        let mut depth = 1_usize;
        while depth > 0 {
            match self.peek() {
                None => return Err(self.unclosed(start, if close == ')' { "`$(`" } else { "`${`" })),
                Some('\'') => {
                    self.single()?;
                }
                Some('"') => {
                    self.double()?;
                }
                Some('$' | '`') => self.expansion()?,
                Some('\\') => {
                    self.at += 1;
                    self.bump();
                }
                Some(c) => {
                    depth += usize::from(open.starts_with(c));
                    depth -= usize::from(c == close);
                    self.at += c.len_utf8();
                }
            }
        }
        Ok(())
    }
}

/// Adds a piece to a value; what is not known makes the whole unknown.
fn push(value: &mut Option<String>, piece: Option<&str>) {
    match (value.as_mut(), piece) {
        (Some(text), Some(piece)) => text.push_str(piece),
        _ => *value = None,
    }
}

#[cfg(test)]
#[path = "tests/shell.rs"]
mod tests;
