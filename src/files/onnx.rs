//! A trained network as ONNX: what onnx.proto3 calls a `ModelProto`, of which only what is needed here is declared.
//! Field numbers are those of <https://github.com/onnx/onnx/blob/main/onnx/onnx.proto3>.
//!
//! The input is `image`, `[batch, 1, 28, 28]` in 0 … 1; the output is `logits`, `[batch, classes]`, without softmax.
//! The batch dimension is free. Dropout is not there: it does nothing when a network is used.

use prost::Message;

use super::{About, FileError, layout, safetensors::metadata};
use crate::data::SIDE;
use crate::model::{NetworkConfig, Padding, SavedModel};

/// Every operator used is as in this version of the operator set.
pub const OPSET: i64 = 17;
/// The version of the file's format that goes with it.
const IR_VERSION: i64 = 8;
/// As in burn's `BatchNormConfig` and in PyTorch.
const EPSILON: f32 = 1e-5;

/// `ModelProto`.
#[derive(Clone, PartialEq, Message)]
pub struct Model {
    /// Version of the format.
    #[prost(int64, tag = "1")]
    pub ir_version: i64,
    /// Who wrote it.
    #[prost(string, tag = "2")]
    pub producer_name: String,
    /// In which version.
    #[prost(string, tag = "3")]
    pub producer_version: String,
    /// What it is, for people.
    #[prost(string, tag = "6")]
    pub doc_string: String,
    /// The network.
    #[prost(message, optional, tag = "7")]
    pub graph: Option<Graph>,
    /// The operators' versions.
    #[prost(message, repeated, tag = "8")]
    pub opset_import: Vec<OperatorSet>,
    /// Text by name.
    #[prost(message, repeated, tag = "14")]
    pub metadata_props: Vec<Entry>,
}

/// `OperatorSetIdProto`; the domain is ONNX's own, which is the empty one.
#[derive(Clone, PartialEq, Message)]
pub struct OperatorSet {
    /// Its version.
    #[prost(int64, tag = "2")]
    pub version: i64,
}

/// `StringStringEntryProto`.
#[derive(Clone, PartialEq, Message)]
pub struct Entry {
    /// Name.
    #[prost(string, tag = "1")]
    pub key: String,
    /// Text.
    #[prost(string, tag = "2")]
    pub value: String,
}

/// `GraphProto`.
#[derive(Clone, PartialEq, Message)]
pub struct Graph {
    /// In the order of evaluation.
    #[prost(message, repeated, tag = "1")]
    pub node: Vec<Node>,
    /// Its name.
    #[prost(string, tag = "2")]
    pub name: String,
    /// The weights.
    #[prost(message, repeated, tag = "5")]
    pub initializer: Vec<Tensor>,
    /// What goes in.
    #[prost(message, repeated, tag = "11")]
    pub input: Vec<ValueInfo>,
    /// What comes out.
    #[prost(message, repeated, tag = "12")]
    pub output: Vec<ValueInfo>,
}

/// `NodeProto`.
#[derive(Clone, PartialEq, Message)]
pub struct Node {
    /// Names of what goes in.
    #[prost(string, repeated, tag = "1")]
    pub input: Vec<String>,
    /// Names of what comes out.
    #[prost(string, repeated, tag = "2")]
    pub output: Vec<String>,
    /// Its name.
    #[prost(string, tag = "3")]
    pub name: String,
    /// The operator.
    #[prost(string, tag = "4")]
    pub op_type: String,
    /// The operator's settings.
    #[prost(message, repeated, tag = "5")]
    pub attribute: Vec<Attribute>,
}

/// `AttributeProto`.
#[derive(Clone, PartialEq, Message)]
pub struct Attribute {
    /// Its name.
    #[prost(string, tag = "1")]
    pub name: String,
    /// A number with a fraction.
    #[prost(float, tag = "2")]
    pub f: f32,
    /// A whole number.
    #[prost(int64, tag = "3")]
    pub i: i64,
    /// Whole numbers.
    #[prost(int64, repeated, tag = "8")]
    pub ints: Vec<i64>,
    /// Which of them it is: `FLOAT` 1, `INT` 2, `INTS` 7.
    #[prost(int32, tag = "20")]
    pub r#type: i32,
}

/// `TensorProto`.
#[derive(Clone, PartialEq, Message)]
pub struct Tensor {
    /// Its shape.
    #[prost(int64, repeated, tag = "1")]
    pub dims: Vec<i64>,
    /// `FLOAT` is 1.
    #[prost(int32, tag = "2")]
    pub data_type: i32,
    /// Its name.
    #[prost(string, tag = "8")]
    pub name: String,
    /// Little-endian values.
    #[prost(bytes = "vec", tag = "9")]
    pub raw_data: Vec<u8>,
}

/// `ValueInfoProto`.
#[derive(Clone, PartialEq, Message)]
pub struct ValueInfo {
    /// Its name.
    #[prost(string, tag = "1")]
    pub name: String,
    /// What it is.
    #[prost(message, optional, tag = "2")]
    pub r#type: Option<Type>,
    /// What it means, for people.
    #[prost(string, tag = "3")]
    pub doc_string: String,
}

/// `TypeProto`, of a tensor.
#[derive(Clone, PartialEq, Message)]
pub struct Type {
    /// The tensor.
    #[prost(message, optional, tag = "1")]
    pub tensor_type: Option<TensorType>,
}

/// `TypeProto.Tensor`.
#[derive(Clone, PartialEq, Message)]
pub struct TensorType {
    /// `FLOAT` is 1.
    #[prost(int32, tag = "1")]
    pub elem_type: i32,
    /// Its shape.
    #[prost(message, optional, tag = "2")]
    pub shape: Option<Shape>,
}

/// `TensorShapeProto`.
#[derive(Clone, PartialEq, Message)]
pub struct Shape {
    /// Its dimensions.
    #[prost(message, repeated, tag = "1")]
    pub dim: Vec<Dimension>,
}

/// `TensorShapeProto.Dimension`.
#[derive(Clone, PartialEq, Message)]
pub struct Dimension {
    /// Fixed or named.
    #[prost(oneof = "Extent", tags = "1, 2")]
    pub value: Option<Extent>,
}

/// How long a dimension is.
#[derive(Clone, PartialEq, prost::Oneof)]
pub enum Extent {
    /// So long.
    #[prost(int64, tag = "1")]
    Value(i64),
    /// As long as it may be, under a name.
    #[prost(string, tag = "2")]
    Name(String),
}

const FLOAT: i32 = 1;

fn float(name: &str, f: f32) -> Attribute {
    Attribute { name: name.into(), f, r#type: 1, ..Attribute::default() }
}

fn int(name: &str, i: i64) -> Attribute {
    Attribute { name: name.into(), i, r#type: 2, ..Attribute::default() }
}

fn ints(name: &str, ints: &[i64]) -> Attribute {
    Attribute { name: name.into(), ints: ints.to_vec(), r#type: 7, ..Attribute::default() }
}

/// Writes a network.
///
/// # Errors
/// A model that is none: a configuration that can't be built, or weights of another one.
pub fn write(model: &SavedModel, about: &About) -> Result<Vec<u8>, FileError> {
    model.check()?;
    let initializer = layout::tensors(&model.network, &model.weights)?
        .into_iter()
        .map(|(part, raw_data)| Tensor {
            dims: part.shape.iter().map(|&length| length as i64).collect(),
            data_type: FLOAT,
            name: part.name,
            raw_data,
        })
        .collect();
    let fixed = |length: usize| Extent::Value(length as i64);
    let batch = || Extent::Name("batch".into());
    let side = || fixed(SIDE);
    let graph = Graph {
        node: nodes(&model.network),
        name: "kiln".into(),
        initializer,
        input: vec![value("image", "Pixels, 0 is paper and 1 is ink.", [batch(), fixed(1), side(), side()])],
        output: vec![value(
            "logits",
            "One for each class; softmax is not included.",
            [batch(), fixed(model.network.classes)],
        )],
    };
    // In a fixed order: equal networks give equal files.
    let mut metadata: Vec<_> = metadata(model, about).into_iter().filter(|(key, _)| key != "format").collect();
    metadata.sort();
    let model = Model {
        ir_version: IR_VERSION,
        producer_name: "Kiln".into(),
        producer_version: env!("CARGO_PKG_VERSION").into(),
        doc_string: "A convolutional network for 28×28 images, trained in a browser tab.".into(),
        graph: Some(graph),
        opset_import: vec![OperatorSet { version: OPSET }],
        metadata_props: metadata.into_iter().map(|(key, value)| Entry { key, value }).collect(),
    };
    Ok(model.encode_to_vec())
}

fn value<const N: usize>(name: &str, doc: &str, shape: [Extent; N]) -> ValueInfo {
    let dim = shape.into_iter().map(|extent| Dimension { value: Some(extent) }).collect();
    let tensor_type = Some(TensorType { elem_type: FLOAT, shape: Some(Shape { dim }) });
    ValueInfo { name: name.into(), r#type: Some(Type { tensor_type }), doc_string: doc.into() }
}

/// The graph, in the order of `Network::forward`: each node's output has the node's name.
fn nodes(config: &NetworkConfig) -> Vec<Node> {
    let mut nodes: Vec<Node> = Vec::new();
    let mut add = |name: String, op_type: &str, input: &[&str], attribute: Vec<Attribute>| {
        let before = nodes.last().map_or("image", |node| &node.name);
        let input = [before].iter().chain(input).map(|name| (*name).to_owned()).collect();
        let op_type = op_type.to_owned();
        nodes.push(Node { input, output: vec![name.clone()], name, op_type, attribute });
    };
    for (conv, number) in config.convolutions.iter().zip(1..) {
        let (name, side) = (format!("conv{number}"), conv.kernel as i64);
        let pad = if conv.padding == Padding::Same { side / 2 } else { 0 };
        let attributes = vec![ints("kernel_shape", &[side; 2]), ints("strides", &[1; 2]), ints("pads", &[pad; 4])];
        add(name.clone(), "Conv", &[&format!("{name}.weight"), &format!("{name}.bias")], attributes);
        add(format!("relu{number}"), "Relu", &[], Vec::new());
        if conv.pool {
            add(format!("pool{number}"), "MaxPool", &[], vec![ints("kernel_shape", &[2; 2]), ints("strides", &[2; 2])]);
        }
        if config.batch_norm {
            let name = format!("norm{number}");
            let of = |part: &str| format!("{name}.{part}");
            let parts = [of("weight"), of("bias"), of("running_mean"), of("running_var")];
            add(
                name.clone(),
                "BatchNormalization",
                &parts.each_ref().map(String::as_str),
                vec![float("epsilon", EPSILON)],
            );
        }
    }
    add("flatten".into(), "Flatten", &[], vec![int("axis", 1)]);
    for number in 1..=config.dense.len() + 1 {
        let last = number > config.dense.len();
        let name = format!("dense{number}");
        let output = if last { "logits".to_owned() } else { name.clone() };
        add(output, "Gemm", &[&format!("{name}.weight"), &format!("{name}.bias")], vec![int("transB", 1)]);
        if !last {
            add(format!("{name}.relu"), "Relu", &[], Vec::new());
        }
    }
    nodes
}
