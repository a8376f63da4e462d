//! Opening the device that the page chose, or the CPU with the reason why not.

use crate::device::Opened;
use crate::protocol::{DeviceKind, DeviceReason};

/// Opens `kind`. A GPU that refuses, or whose numbers differ from the CPU's, means the CPU.
pub async fn open(kind: DeviceKind, reason: DeviceReason) -> (Opened, DeviceReason) {
    match kind {
        DeviceKind::Cpu => (Opened::cpu(), reason),
        DeviceKind::WebGpu => gpu(reason).await,
    }
}

#[cfg(feature = "gpu")]
async fn gpu(reason: DeviceReason) -> (Opened, DeviceReason) {
    use crate::device::open_gpu;
    use crate::training::self_check::{SELF_CHECK_TOLERANCE, self_check};

    let opened = match open_gpu().await {
        Ok(opened) => opened,
        Err(why) => return (Opened::cpu(), DeviceReason::Refused(why)),
    };
    match self_check(&opened.device).await {
        Ok(difference) if difference <= SELF_CHECK_TOLERANCE => (opened, reason),
        Ok(difference) => (Opened::cpu(), DeviceReason::SelfCheck { difference }),
        Err(lost) => (Opened::cpu(), DeviceReason::Refused(lost.to_string())),
    }
}

#[cfg(not(feature = "gpu"))]
async fn gpu(_reason: DeviceReason) -> (Opened, DeviceReason) {
    (Opened::cpu(), DeviceReason::Refused("this engine has no GPU code".into()))
}
