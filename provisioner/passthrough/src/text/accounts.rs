//! `/etc/passwd` and `/etc/group`: which users there are, and who belongs to which group.

/// A user, as a line of `/etc/passwd` has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct User {
    /// The user's number.
    pub uid: u32,
    /// The number of the group that is the user's own.
    pub gid: u32,
}

/// The user of this name.
pub fn user(passwd: &str, name: &str) -> Option<User> {
    let fields = line_of(passwd, name)?;
    Some(User { uid: fields.get(2)?.parse().ok()?, gid: fields.get(3)?.parse().ok()? })
}

/// The number of the group of this name.
pub fn group(groups: &str, name: &str) -> Option<u32> {
    line_of(groups, name)?.get(2)?.parse().ok()
}

/// The name of the user, or of the group, with this number, for messages; the number where it has none.
pub fn name_of(text: &str, number: u32) -> String {
    let mut lines = text.lines().map(|line| line.split(':').collect::<Vec<_>>());
    let wanted = number.to_string();
    let found = lines.find(|fields| fields.len() > 2 && fields[2] == wanted);
    found.map_or(wanted, |fields| fields[0].to_owned())
}

/// Whether a user belongs to a group: as one of its members, or since it is the user's own.
pub fn is_member(passwd: &str, groups: &str, name: &str, of: &str) -> bool {
    let own = user(passwd, name).is_some_and(|user| Some(user.gid) == group(groups, of));
    let members = line_of(groups, of).and_then(|fields| fields.get(3).copied()).unwrap_or_default();
    own || members.split(',').any(|member| member.trim() == name)
}

/// The numbers of all groups that a user belongs to.
pub fn groups_of(passwd: &str, groups: &str, name: &str) -> Vec<u32> {
    let own = user(passwd, name).map(|user| user.gid);
    let names = groups.lines().filter_map(|line| line.split(':').next());
    let of = names.filter(|group| is_member(passwd, groups, name, group));
    own.into_iter().chain(of.filter_map(|of| group(groups, of))).collect()
}

/// The fields of the line that begins with a name. The first such line counts, as for the C library.
fn line_of<'a>(text: &'a str, name: &str) -> Option<Vec<&'a str>> {
    let mut lines = text.lines().map(|line| line.split(':').collect::<Vec<_>>());
    lines.find(|fields| fields.len() > 2 && fields[0] == name)
}

#[cfg(test)]
mod tests {
    use super::*;

    const PASSWD: &str = "root:x:0:0::/root:/bin/bash\n\
                          vera:x:1000:1000::/home/vera:/bin/bash\n\
                          odd:x:many:1::/:/bin/sh\n\
                          +::::::\n\
                          kim:x:1001:992::/home/kim:/bin/bash\n";
    const GROUPS: &str = "root:x:0:root\nkvm:x:992:alice,vera\nlibvirt:x:980:\nshort\n";

    #[test]
    fn users_and_groups_are_found_by_their_whole_name() {
        assert_eq!(user(PASSWD, "vera"), Some(User { uid: 1000, gid: 1000 }));
        for name in ["ver", "vera:x", "", "+", "odd", "kvm"] {
            assert_eq!(user(PASSWD, name), None, "{name}");
        }
        assert_eq!(
            (group(GROUPS, "kvm"), group(GROUPS, "short"), group(GROUPS, "kv")),
            (Some(992), None, None)
        );
    }

    #[test]
    fn a_number_has_a_name_or_is_one() {
        assert_eq!((name_of(PASSWD, 1000), name_of(GROUPS, 992)), ("vera".to_owned(), "kvm".to_owned()));
        assert_eq!(name_of(PASSWD, 64055), "64055");
    }

    #[test]
    fn who_belongs_to_a_group_is_a_member_or_has_it_as_the_own_one() {
        for (name, of, is) in [
            ("vera", "kvm", true),
            ("kim", "kvm", true),
            ("ver", "kvm", false),
            ("root", "kvm", false),
            ("vera", "libvirt", false),
            ("vera", "none", false),
        ] {
            assert_eq!(is_member(PASSWD, GROUPS, name, of), is, "{name} {of}");
        }
        assert_eq!(groups_of(PASSWD, GROUPS, "vera"), [1000, 992]);
        assert!(groups_of(PASSWD, GROUPS, "nobody").is_empty());
    }
}
