//! Any steps on any files.

use proptest::prelude::*;

use super::fixture::*;
use crate::step::{Action, FileState, Owner};

const PATHS: [&str; 6] = ["/a", "/etc/b", "/etc/c", "/new/d", "/new/deep/e", "/etc/default/grub"];

/// The file's number, and its content and mode; `None` takes it away, a text of `>` links it.
type Wish = (usize, Option<(String, u32)>);

fn wish() -> impl Strategy<Value = Wish> {
    let mode = prop_oneof![Just(0o644), Just(0o600), Just(0o755), Just(0o4711)];
    (0..PATHS.len(), proptest::option::of(("[ab>]{0,3}", mode)))
}

/// Steps for these wishes, each locked on what the ones before it leave.
fn steps(target: &Target, wishes: &[Wish]) -> Vec<crate::step::Step> {
    let mut states: Vec<FileState> = PATHS.iter().map(|path| target.state(path)).collect();
    let mut steps = Vec::new();
    for (number, (file, want)) in wishes.iter().enumerate() {
        let path = PATHS[*file].parse().unwrap();
        let before = states[*file].clone();
        let action = match want {
            None => Action::RemoveFile { path, before },
            Some((text, _)) if text == ">" => {
                Action::MakeSymlink { path, before, points_to: "/nowhere".to_owned() }
            }
            Some((text, mode)) => {
                let owner = match &before {
                    FileState::Regular { owner, .. } => *owner,
                    _ => Owner { uid: nix::unistd::geteuid().as_raw(), gid: nix::unistd::getegid().as_raw() },
                };
                let after = FileState::Regular { bytes: text.clone().into_bytes(), mode: *mode, owner };
                Action::WriteFile { path, before, after }
            }
        };
        states[*file] = action.after().unwrap();
        steps.push(step(&format!("s{number}"), action));
    }
    steps.push(rebuild("image", &["mkimage"]));
    steps
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn apply_twice_is_once_and_apply_then_revert_is_nothing(
        there in proptest::collection::vec(wish(), 0..5),
        rounds in proptest::collection::vec(proptest::collection::vec(wish(), 0..7), 1..4),
    ) {
        let target = Target::new();
        for (file, want) in there {
            if let Some((text, _)) = want {
                target.put(&PATHS[file][1..], &text);
            }
        }
        let before = target.snapshot();
        for wishes in &rounds {
            // One wish a file: a plan says what a file becomes, not what it was on the way.
            let mut wishes = wishes.clone();
            wishes.sort_by_key(|(file, _)| *file);
            wishes.dedup_by_key(|(file, _)| *file);
            let transaction = transaction(steps(&target, &wishes));
            target.apply(&transaction).unwrap();
            let after = target.snapshot();
            let mut maker = Maker::new(&target);
            let again = target.apply_with(&transaction, crate::apply::Options::default(), &mut maker).unwrap();
            prop_assert!(wishes.is_empty() || !again.changed);
            prop_assert_eq!(target.snapshot(), after);
        }
        let reverted = target.revert().unwrap();
        prop_assert_eq!(reverted.left, []);
        let mut now = target.snapshot();
        now.get_mut("boot/image").unwrap().content.clone_from(&before["boot/image"].content);
        prop_assert_eq!(now, before);
        prop_assert!(!target.revert().unwrap().outcome.changed);
    }

    #[test]
    fn steps_that_follow_each_other_go_back_as_one(wishes in proptest::collection::vec(wish(), 0..9)) {
        let target = Target::new();
        let before = target.snapshot();
        target.apply(&transaction(steps(&target, &wishes))).unwrap();
        prop_assert_eq!(target.revert().unwrap().left, []);
        prop_assert_eq!(target.snapshot(), before);
    }
}
