//! What was learned, and the contract of its input: feature schema, dataset, forest, linear model, model folder, ONNX.
