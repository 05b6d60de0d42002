//! Who can tell that a boot is good: logind of a person at the screen, or, where nobody sits, systemd
//! of what was booted to.

use std::io;
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use neuron_passthrough::boots::{Held, PROPERTIES, Session, UNATTENDED_HOLD};
use neuron_passthrough::root::Root;

/// Where logind has a file for every session. That something changed there is a reason to ask.
const SESSIONS: &str = "/run/systemd/sessions";
/// How long logind is not asked though nothing seems to have changed: a session can become active.
const LONGEST_SILENCE: Duration = Duration::from_secs(60);

/// What a boot has to show.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Wanted {
    /// A person at the screen.
    Person,
    /// That it holds what it boots to: nobody sits there (`trial = false`).
    Target,
}

/// Looks again and again.
pub(super) struct Witness<'r> {
    machine: &'r Root,
    wanted: Wanted,
    held: Held,
    began: Instant,
    asked: Option<(Instant, Vec<String>)>,
    is_waiting: bool,
}

impl<'r> Witness<'r> {
    pub(super) fn new(machine: &'r Root, wanted: Wanted) -> Self {
        let (held, began) = (Held::default(), Instant::now());
        Self { machine, wanted, held, began, asked: None, is_waiting: false }
    }

    /// Whether it is shown by now.
    pub(super) fn is_shown(&mut self) -> io::Result<bool> {
        if self.wanted == Wanted::Person && self.nothing_changed() {
            return Ok(false);
        }
        let seen = match self.wanted {
            Wanted::Person => {
                let sessions = sessions()?.into_iter();
                sessions.filter_map(|one| Some((one.id.clone(), one.proves_after()?))).collect()
            }
            Wanted::Target if holds_target()? => vec![("default.target".to_owned(), UNATTENDED_HOLD)],
            Wanted::Target => Vec::new(),
        };
        self.is_waiting = !seen.is_empty();
        Ok(self.held.look(self.began.elapsed(), &seen))
    }

    /// Whether asking would tell nothing new. Where the folder cannot be read, it might.
    fn nothing_changed(&mut self) -> bool {
        let names = self.machine.list(SESSIONS).ok().flatten();
        let Some(names) = names else { return false };
        let is_same = self
            .asked
            .as_ref()
            .is_some_and(|(when, before)| when.elapsed() < LONGEST_SILENCE && *before == names);
        if is_same && !self.is_waiting {
            return true;
        }
        self.asked = Some((Instant::now(), names));
        false
    }
}

/// The sessions that there are. One that ends between the two questions is not there.
fn sessions() -> io::Result<Vec<Session>> {
    let listed = ask("loginctl", &["list-sessions", "--no-legend", "--no-pager"])?;
    if !listed.status.success() {
        // logind is not there yet, or not there any more.
        return Ok(Vec::new());
    }
    let listed = String::from_utf8_lossy(&listed.stdout).into_owned();
    let ids: Vec<&str> = listed.lines().filter_map(|line| line.split_whitespace().next()).collect();
    if ids.is_empty() {
        return Ok(Vec::new());
    }
    let properties = PROPERTIES.iter().flat_map(|name| ["-p", name]);
    let arguments: Vec<&str> =
        ["show-session", "--no-pager"].into_iter().chain(properties).chain(ids).collect();
    let shown = ask("loginctl", &arguments)?;
    Ok(Session::parse_all(&String::from_utf8_lossy(&shown.stdout)))
}

fn holds_target() -> io::Result<bool> {
    Ok(ask("systemctl", &["is-active", "--quiet", "default.target"])?.status.success())
}

fn ask(program: &str, arguments: &[&str]) -> io::Result<Output> {
    let mut command = Command::new(program);
    command.args(arguments).stdin(Stdio::null()).env("LC_ALL", "C");
    command.output().map_err(|error| io::Error::new(error.kind(), format!("cannot start {program}: {error}")))
}
