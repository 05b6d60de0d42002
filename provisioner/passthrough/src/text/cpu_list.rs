//! Lists of processors as the kernel and libvirt write them: `0-3,8,10-11`.

use super::TextError;

/// No machine has more; a list that says so is nonsense.
const MOST: u32 = 1 << 16;

/// The processors of a list, in order and once each.
pub fn parse(text: &str) -> Result<Vec<u32>, TextError> {
    let mut all = Vec::new();
    for run in text.trim().split(',').filter(|run| !run.is_empty()) {
        let (first, last) = run.split_once('-').unwrap_or((run, run));
        let (Ok(first), Ok(last)) = (first.parse::<u32>(), last.parse::<u32>()) else {
            return Err(TextError::whole(run, "is no processor and no range of processors like `0-3`"));
        };
        if first > last || last >= MOST {
            return Err(TextError::whole(run, "is no range of processors like `0-3`"));
        }
        all.extend(first..=last);
    }
    all.sort_unstable();
    all.dedup();
    Ok(all)
}

/// A list of processors; runs of them as ranges.
pub fn render(processors: &[u32]) -> String {
    let mut sorted = processors.to_vec();
    sorted.sort_unstable();
    sorted.dedup();
    let runs = sorted.chunk_by(|a, b| a + 1 == *b).map(|run| match run {
        [one] => one.to_string(),
        run => format!("{}-{}", run[0], run[run.len() - 1]),
    });
    runs.collect::<Vec<_>>().join(",")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn lists_are_read_as_the_kernel_writes_them() {
        for (list, wanted) in [
            ("0-3,8,10-11\n", vec![0, 1, 2, 3, 8, 10, 11]),
            ("0", vec![0]),
            ("\n", vec![]),
            ("4,2,2", vec![2, 4]),
        ] {
            assert_eq!(parse(list).unwrap(), wanted, "{list}");
        }
        for nonsense in ["3-1", "a", "0-", "-1", "0-99999999", "1;2"] {
            assert!(parse(nonsense).is_err(), "{nonsense}");
        }
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_again(mut processors in proptest::collection::vec(0_u32..300, 0..40)) {
            let text = render(&processors);
            processors.sort_unstable();
            processors.dedup();
            prop_assert_eq!(parse(&text).unwrap(), processors);
        }
    }
}
