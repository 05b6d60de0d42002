//! Who uses a system: the accounts of people.

use super::FactsError;
use crate::root::Root;

/// Where accounts of people begin and end, unless the system says otherwise (`login.defs(5)`).
const USUAL: (u32, u32) = (1000, 60_000);
/// Shells of accounts that nobody logs in to.
const NO_LOGIN: [&str; 3] = ["nologin", "false", "true"];

/// The names of people's accounts, by their numbers: those in the range that `login.defs` gives to
/// people, with a shell that lets somebody in.
pub fn people(root: &Root) -> Result<Vec<String>, FactsError> {
    let defs = root.read_head("etc/login.defs", 1 << 16)?.unwrap_or_default();
    let passwd = root.read_head("etc/passwd", 1 << 20)?.unwrap_or_default();
    let first = limit(&defs, "UID_MIN").unwrap_or(USUAL.0);
    let last = limit(&defs, "UID_MAX").unwrap_or(USUAL.1);
    let mut found: Vec<(u32, &str)> = passwd.lines().filter_map(account).collect();
    found.retain(|(number, _)| (first..=last).contains(number));
    found.sort_unstable();
    Ok(found.into_iter().map(|(_, name)| name.to_owned()).collect())
}

fn limit(defs: &str, key: &str) -> Option<u32> {
    defs.lines().find_map(|line| {
        let mut words = line.split_whitespace();
        (words.next() == Some(key)).then(|| words.next()?.parse().ok()).flatten()
    })
}

/// The number and the name of an account that somebody can log in to.
fn account(line: &str) -> Option<(u32, &str)> {
    let fields: Vec<&str> = line.split(':').collect();
    let [name, _, number, _, _, _, shell] = fields.as_slice() else { return None };
    let program = shell.rsplit('/').next().unwrap_or_default();
    let is_login = !NO_LOGIN.contains(&program);
    let is_name = !name.is_empty() && !name.starts_with(['+', '-', '#']);
    (is_login && is_name).then_some((number.parse().ok()?, *name))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::root::{Capture, Entry};

    fn root(passwd: &str, defs: &str) -> Root {
        let mut capture = Capture::default();
        capture.insert("etc/passwd", Entry::Text(passwd.to_owned()));
        capture.insert("etc/login.defs", Entry::Text(defs.to_owned()));
        Root::capture(capture)
    }

    const PASSWD: &str = "\
root:x:0:0::/root:/usr/bin/bash
zoe:x:1001:1001::/home/zoe:/usr/bin/zsh
ada:x:1000:1000:Ada:/home/ada:/bin/bash
games:x:1002:1002::/:/usr/bin/nologin
nobody:x:65534:65534:Kernel Overflow User:/:/usr/bin/nologin
+nis:x:1003:1003::/:/bin/sh
broken:x:none:1::/:/bin/sh
plain:x:1004:1004::/home/plain:
";

    #[test]
    fn people_are_those_who_can_log_in() {
        assert_eq!(people(&root(PASSWD, "")).unwrap(), ["ada", "zoe", "plain"]);
        assert_eq!(
            people(&root(PASSWD, "# UID_MIN 1\nUID_MIN\t1001 # ours\nUID_MAX 1001\n")).unwrap(),
            ["zoe"]
        );
        assert_eq!(people(&root("", "")).unwrap(), Vec::<String>::new());
    }
}
