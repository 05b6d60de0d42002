//! What shows that a boot was good: pure.
//!
//! A desktop that starts shows nothing: a dark screen reaches the graphical target as well. Somebody
//! who logs in on the screen of the machine has seen it. One who is logged in without being asked may
//! sit before a dark one, and switches it off; so such a session has to last.

use std::collections::BTreeMap;
use std::time::Duration;

/// How long a session has to last that began without a password.
pub const AUTOLOGIN_HOLD: Duration = Duration::from_secs(600);
/// How long a machine that nobody sits at has to hold what it boots to.
pub const UNATTENDED_HOLD: Duration = Duration::from_secs(60);

/// The properties of a session that are asked for.
pub const PROPERTIES: [&str; 7] = ["Id", "Class", "Seat", "Remote", "Active", "State", "Service"];

/// A session, as logind describes it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Session {
    /// Its name.
    pub id: String,
    properties: BTreeMap<String, String>,
}

/// The PAM services by which display managers log in somebody who was asked. Every other one may
/// have asked nobody: agetty's and greetd's first session bear the same name either way.
const ASKS: [&str; 9] = [
    "gdm-password",
    "gdm-fingerprint",
    "gdm-smartcard",
    "sddm",
    "lightdm",
    "lxdm",
    "ly",
    "plasmalogin",
    "cosmic-greeter",
];

impl Session {
    /// Reads what `loginctl show-session` prints for one or several: `KEY=VALUE`, and an empty line
    /// between two.
    pub fn parse_all(text: &str) -> Vec<Self> {
        let sessions = text.split("\n\n").map(|block| {
            let pairs = block.lines().filter_map(|line| line.split_once('='));
            let properties: BTreeMap<String, String> =
                pairs.map(|(key, value)| (key.to_owned(), value.trim().to_owned())).collect();
            Self { id: properties.get("Id").cloned().unwrap_or_default(), properties }
        });
        sessions.filter(|session| !session.id.is_empty()).collect()
    }

    fn is(&self, key: &str, value: &str) -> bool {
        self.properties.get(key).is_some_and(|found| found == value)
    }

    /// How long it has to last until it shows that this boot is good; none when it never does: a
    /// greeter's, one from afar, one in the background, one that is closing.
    pub fn proves_after(&self) -> Option<Duration> {
        // A machine with several seats has the host's screen at the first one.
        let is_here = self.is("Seat", "seat0") && self.is("Remote", "no");
        // `user-early` is root's on a console (systemd 256).
        let is_person = self.is("Class", "user") || self.is("Class", "user-early");
        let is_shown = self.is("Active", "yes") && self.is("State", "active");
        if !(is_here && is_person && is_shown) {
            return None;
        }
        let service = self.properties.get("Service").map_or("", String::as_str);
        Some(if ASKS.contains(&service) { Duration::ZERO } else { AUTOLOGIN_HOLD })
    }
}

/// Since when each of several things has been so without a break.
#[derive(Debug, Default)]
pub struct Held(BTreeMap<String, Duration>);

impl Held {
    /// What is so at a moment, each with how long it has to be; whether one has been so long enough.
    pub fn look(&mut self, now: Duration, seen: &[(String, Duration)]) -> bool {
        self.0.retain(|name, _| seen.iter().any(|(other, _)| other == name));
        seen.iter().any(|(name, hold)| {
            let since = *self.0.entry(name.clone()).or_insert(now);
            now.saturating_sub(since) >= *hold
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOGIN: &str =
        "Id=2\nClass=user\nSeat=seat0\nRemote=no\nActive=yes\nState=active\nService=gdm-password\n";

    fn one(text: &str) -> Session {
        let all = Session::parse_all(text);
        assert_eq!(all.len(), 1, "{text}");
        all[0].clone()
    }

    #[test]
    fn somebody_who_logs_in_at_the_screen_has_seen_it() {
        assert_eq!(one(LOGIN).proves_after(), Some(Duration::ZERO));
        assert_eq!(one(&LOGIN.replace("=user\n", "=user-early\n")).proves_after(), Some(Duration::ZERO));
        for (was, is) in [
            ("Class=user", "Class=greeter"),
            ("Class=user", "Class=lock-screen"),
            ("Class=user", "Class=background"),
            ("Class=user", "Class=user-incomplete"),
            ("Seat=seat0", "Seat="),
            ("Seat=seat0", "Seat=seat-guest"),
            ("Remote=no", "Remote=yes"),
            ("Active=yes", "Active=no"),
            ("State=active", "State=closing"),
            ("Remote=no\n", ""),
        ] {
            let changed = LOGIN.replace(was, is);
            assert_ne!(changed, LOGIN);
            assert_eq!(one(&changed).proves_after(), None, "{is}");
        }
    }

    #[test]
    fn a_login_without_a_password_has_to_last() {
        for service in ["gdm-autologin", "sddm-autologin", "lightdm-autologin"] {
            let session = one(&LOGIN.replace("gdm-password", service));
            assert_eq!(session.proves_after(), Some(AUTOLOGIN_HOLD), "{service}");
        }
    }

    #[test]
    fn several_sessions_are_read_apart() {
        let text = format!("{}\n{LOGIN}", LOGIN.replace("Id=2", "Id=c1").replace("=user\n", "=greeter\n"));
        let all = Session::parse_all(&text);
        let proofs: Vec<_> = all.iter().map(|one| (one.id.as_str(), one.proves_after())).collect();
        assert_eq!(proofs, [("c1", None), ("2", Some(Duration::ZERO))]);
        assert!(Session::parse_all("").is_empty());
        assert!(Session::parse_all("no such session\n").is_empty());
    }

    #[test]
    fn a_break_begins_anew() {
        let seconds = Duration::from_secs;
        let seen = vec![("2".to_owned(), seconds(60))];
        let mut held = Held::default();
        assert!(!held.look(seconds(0), &seen));
        assert!(!held.look(seconds(59), &seen));
        assert!(!held.look(seconds(61), &[]), "it is gone");
        assert!(!held.look(seconds(62), &seen), "it is another one");
        assert!(held.look(seconds(122), &seen));
        assert!(Held::default().look(seconds(5), &[("3".to_owned(), Duration::ZERO)]));
    }
}
