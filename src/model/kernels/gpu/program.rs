//! Launching WGSL through burn's own client: its memory, its queue, its cache of pipelines.

use std::fmt::{Debug, Write as _};
use std::hash::Hash;

use burn_cubecl::cubecl::client::Client;
use burn_cubecl::cubecl::ir::metadata::Info;
use burn_cubecl::cubecl::ir::{AddressType, ElemType, Scope, UIntKind};
use burn_cubecl::cubecl::prelude::{
    CubeCount, CubeDim, ExecutionMode, KernelDefinition, KernelId, KernelMetadata, KernelSettings,
};
use burn_cubecl::cubecl::server::{Handle, KernelArguments, MetadataBindingInfo};
use burn_cubecl::cubecl::{CubeKernel, PrecompiledSource};

/// Invocations of a workgroup, in every program.
pub const LANES: u32 = 64;
/// Workgroups along one dimension that every device has.
const MOST_GROUPS: u32 = 65_535;

/// How a buffer is bound that is only read. In a browser each has its memory to itself; natively several share one, and
/// one memory can't be bound in two ways.
const READ: &str = if cfg!(target_family = "wasm") { "read" } else { "read_write" };

/// To declare: the four bytes of a word, the lowest first.
pub const UNPACK: &str = "fn unpack(word: u32) -> vec4u {
return vec4u(word & 255u, (word >> 8u) & 255u, (word >> 16u) & 255u, word >> 24u);
}
";

/// A program for the GPU. Equal ones have equal text: it is compiled once.
pub trait Program: Clone + Debug + Eq + Hash + Send + Sync + 'static {
    /// Its buffers' names and element types, in the order in which [`launch`] gets them.
    fn buffers(&self) -> Vec<(&'static str, &'static str)>;

    /// The names of those that it writes.
    fn writes(&self) -> &'static [&'static str];

    /// What is declared beside them.
    fn declarations(&self) -> String {
        String::new()
    }

    /// The body of `main`, which knows `group` (the workgroup's number), `lane` (the invocation's in it), and `info`,
    /// words from [`launch`].
    fn body(&self) -> String;
}

struct Kernel<P>(P);

impl<P: Program> KernelMetadata for Kernel<P> {
    fn id(&self) -> KernelId {
        KernelId::new::<Self>().cube_dim(CubeDim::new_1d(LANES).0).info(self.0.clone())
    }

    fn address_type(&self) -> ElemType {
        UIntKind::U32.into()
    }
}

impl<P: Program> CubeKernel for Kernel<P> {
    // Only names the text; there is nothing to compile from.
    fn define(&self) -> KernelDefinition {
        let settings = KernelSettings::new(CubeDim::new_1d(LANES).0, ExecutionMode::Checked, AddressType::U32);
        KernelDefinition { body: Scope::root(settings.clone()), settings, info: Info::default() }
    }

    fn source(&self) -> Option<PrecompiledSource> {
        let mut source = String::new();
        let buffers = self.0.buffers();
        for (at, (name, element)) in buffers.iter().enumerate() {
            let access = if self.0.writes().contains(name) { "read_write" } else { READ };
            let _ = writeln!(source, "@group(0) @binding({at}) var<storage, {access}> {name}: array<{element}>;");
        }
        let _ = write!(
            source,
            "@group(0) @binding({at}) var<storage, read> info: array<u32>;
{declarations}
@compute @workgroup_size({LANES})
fn main(@builtin(workgroup_id) place: vec3u, @builtin(num_workgroups) places: vec3u,
        @builtin(local_invocation_index) lane: u32) {{
let group = place.y * places.x + place.x;
{body}
}}
",
            at = buffers.len(),
            declarations = self.0.declarations(),
            body = self.0.body(),
        );
        Some(PrecompiledSource { source, entrypoint_name: "main".into(), lang: "wgsl" })
    }
}

/// Queues a program for at least so many workgroups: a few more may run.
pub fn launch<P: Program>(client: &Client, program: P, groups: u32, buffers: &[&Handle], info: &[u32]) {
    let rows = groups.div_ceil(MOST_GROUPS).max(1);
    let count = CubeCount::Static(groups.div_ceil(rows).max(1), rows, 1);
    let words = info.chunks(2).map(|pair| u64::from(pair[0]) | u64::from(pair.get(1).copied().unwrap_or(0)) << 32);
    let arguments = KernelArguments::new()
        .with_buffers(buffers.iter().map(|&handle| handle.clone().binding()).collect())
        .with_info(MetadataBindingInfo::custom(words.collect()));
    client.launch(Box::new(Kernel(program)), count, arguments);
}
