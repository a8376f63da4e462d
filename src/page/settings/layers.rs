//! The layers of a network in one word of the address: `32p-64p-64p-64.64` is the article's.
//!
//! Before the dot the convolutions: filters, then `k5` for another kernel than 3×3, `v` for no padding, `p` for a
//! pool. After it the widths of the hidden dense layers; the output layer is not written, for data decides its width.

use crate::model::summary::{MAX_CONVOLUTIONS, MAX_DENSE, MAX_WIDTH};
use crate::model::{Convolution, NetworkConfig, NetworkError, Padding, summarize};

/// The sides of a kernel that are offered.
pub const KERNELS: [usize; 6] = [1, 3, 5, 7, 9, 11];

/// The layers in a word.
pub fn write(network: &NetworkConfig) -> String {
    let convolution = |conv: &Convolution| {
        let kernel = if conv.kernel == 3 { String::new() } else { format!("k{}", conv.kernel) };
        let padding = if conv.padding == Padding::Valid { "v" } else { "" };
        let pool = if conv.pool { "p" } else { "" };
        format!("{}{kernel}{padding}{pool}", conv.filters)
    };
    let convolutions = network.convolutions.iter().map(convolution).collect::<Vec<_>>().join("-");
    let dense = network.dense.iter().map(usize::to_string).collect::<Vec<_>>().join("-");
    format!("{convolutions}.{dense}")
}

/// Convolutions and hidden dense layers of a word; `None` if it is none. Whether they fit together is not asked here.
pub fn read(word: &str) -> Option<(Vec<Convolution>, Vec<usize>)> {
    let (convolutions, dense) = word.split_once('.').unwrap_or((word, ""));
    let convolutions = list(convolutions, convolution)?;
    let dense = list(dense, width)?;
    (convolutions.len() <= MAX_CONVOLUTIONS && dense.len() <= MAX_DENSE).then_some((convolutions, dense))
}

fn list<T>(text: &str, read: fn(&str) -> Option<T>) -> Option<Vec<T>> {
    if text.is_empty() { Some(Vec::new()) } else { text.split('-').map(read).collect() }
}

fn width(text: &str) -> Option<usize> {
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse().ok().filter(|width| digits && (1..=MAX_WIDTH).contains(width))
}

fn convolution(text: &str) -> Option<Convolution> {
    let (text, pool) = text.strip_suffix('p').map_or((text, false), |text| (text, true));
    let (text, padding) = text.strip_suffix('v').map_or((text, Padding::Same), |text| (text, Padding::Valid));
    let (filters, kernel) = match text.split_once('k') {
        Some((filters, kernel)) => (filters, width(kernel)?),
        None => (text, 3),
    };
    let filters = width(filters)?;
    KERNELS.contains(&kernel).then_some(Convolution { filters, kernel, padding, pool })
}

/// What makes a network fit that does not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Repair {
    /// Zeros around every image, so that no convolution makes it smaller.
    SamePadding,
    /// That block's pool is left out.
    NoPool(usize),
    /// That layer is left out.
    Without(usize),
}

/// The least change that makes a network fit, and the network after it.
pub fn repair(network: &NetworkConfig, error: &NetworkError) -> Option<(Repair, NetworkConfig)> {
    let (NetworkError::Kernel { layer, .. } | NetworkError::Pool { layer, .. } | NetworkError::Size { layer, .. }) =
        error
    else {
        return None;
    };
    let layer = *layer;
    let with = |repair: Repair| {
        let mut network = network.clone();
        match repair {
            Repair::SamePadding => network.convolutions.iter_mut().for_each(|conv| conv.padding = Padding::Same),
            Repair::NoPool(_) => network.convolutions.get_mut(layer - 1)?.pool = false,
            Repair::Without(_) if layer > network.convolutions.len() => return None,
            Repair::Without(_) => {
                network.convolutions.remove(layer - 1);
            }
        }
        Some((repair, network))
    };
    let fits = |(_, network): &(Repair, NetworkConfig)| summarize(network).is_ok();
    let repairs = [Repair::SamePadding, Repair::NoPool(layer), Repair::Without(layer)];
    repairs.into_iter().filter_map(with).find(fits)
}
