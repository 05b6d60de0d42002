//! While an image is being built, half of one may be what a power cut leaves.

use super::fixture::*;
use crate::apply::{ErrorKind, Options, RunResult, Runner};

/// What stood there at each build: whether vfio.conf, whether our menu, whether the copy.
struct Builder<'a> {
    target: &'a Target,
    fails: bool,
    saw: Vec<[bool; 3]>,
}

impl Runner for Builder<'_> {
    fn run(&mut self, _: &[String]) -> RunResult {
        let there = |path: &str| self.target.at(path).exists();
        let is_ours = self.target.text("etc/default/grub").contains("iommu=pt");
        self.saw.push([there("etc/modprobe.d/vfio.conf"), is_ours, there(&COPY[1..])]);
        if std::mem::take(&mut self.fails) {
            return RunResult::Failed { why: "no".to_owned() };
        }
        RunResult::Done
    }
}

#[test]
fn the_way_back_stands_until_the_images_are_whole() {
    let target = Target::new();
    let mut transaction = target.transaction_with_copy();
    transaction.steps.pop();
    transaction.steps.push(rebuild("image", &["mkinitcpio", "-P"]));
    let before = target.snapshot();
    let mut builder = Builder { target: &target, fails: true, saw: Vec::new() };
    let error = target.apply_with(&transaction, Options::default(), &mut builder).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Failed, "{error}");
    assert_eq!(builder.saw, [[true, true, true], [false, true, true]], "built, then put back");
    assert_eq!(target.snapshot(), before);
    target.apply_with(&transaction, Options::default(), &mut builder).unwrap();
    builder.saw.clear();
    target.revert_with(Options::default(), &mut |_| None, &mut builder).unwrap();
    assert_eq!(builder.saw, [[false, true, true]], "reverted");
    assert_eq!(target.snapshot(), before);
}
