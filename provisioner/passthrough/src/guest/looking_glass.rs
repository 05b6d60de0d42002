//! Looking Glass: the memory that brings the guest's picture to the host.

use crate::answers::LookingGlass;

/// How large the memory is in MiB: the answer, or what two frames of the resolution need.
///
/// Width by height by 4 bytes (8 with HDR), twice, and 10 MiB for everything else, rounded up to a
/// power of two. Source: Looking Glass's documentation, "Determining memory". `Err` holds what is
/// wrong with the answers.
pub(super) fn size_mib(answers: &LookingGlass) -> Result<u32, String> {
    if answers.size_mib > 0 {
        return if answers.size_mib.is_power_of_two() {
            Ok(answers.size_mib)
        } else {
            Err(format!("size_mib = {}: the size must be a power of two", answers.size_mib))
        };
    }
    let wrong = || format!("resolution `{}` is not WIDTHxHEIGHT", answers.resolution);
    let (width, height) = answers.resolution.split_once('x').ok_or_else(wrong)?;
    let (width, height): (u64, u64) =
        (width.parse().map_err(|_| wrong())?, height.parse().map_err(|_| wrong())?);
    let pixel = if answers.hdr { 8 } else { 4 };
    let mib = (width * height * pixel * 2).div_ceil(1 << 20) + 10;
    u32::try_from(mib.next_power_of_two()).map_err(|_| wrong())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sizes_are_those_of_the_documentation() {
        for (resolution, sdr, hdr) in [
            ("1920x1080", 32, 64),
            ("2560x1440", 64, 128),
            ("3440x1440", 64, 128),
            ("3840x1600", 64, 128),
            ("3840x2160", 128, 256),
            ("5120x1440", 128, 128),
            ("5120x2160", 128, 256),
            ("7680x4320", 512, 1024),
        ] {
            for (is_hdr, wanted) in [(false, sdr), (true, hdr)] {
                let answers = LookingGlass {
                    resolution: resolution.to_owned(),
                    hdr: is_hdr,
                    ..LookingGlass::default()
                };
                assert_eq!(size_mib(&answers), Ok(wanted), "{resolution} {is_hdr}");
            }
        }
    }

    #[test]
    fn a_size_that_is_no_power_of_two_is_refused() {
        let sized = |size_mib| size_mib_of(size_mib);
        assert_eq!(sized(128), Ok(128));
        assert_eq!(sized(100), Err("size_mib = 100: the size must be a power of two".to_owned()));
    }

    fn size_mib_of(size_mib: u32) -> Result<u32, String> {
        super::size_mib(&LookingGlass { size_mib, ..LookingGlass::default() })
    }
}
