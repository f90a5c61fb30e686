"""The names in a SavedModel: of its files, tags, collections, and of the parts of signatures."""

from __future__ import annotations

from millstream.core.export import export_value

# --- Files -----------------------------------------------------------------------------------------------------------

SAVED_MODEL_SCHEMA_VERSION = 1
SAVED_MODEL_FILENAME_PREFIX = "saved_model"
SAVED_MODEL_FILENAME_PB = "saved_model.pb"
SAVED_MODEL_FILENAME_PBTXT = "saved_model.pbtxt"
ASSETS_DIRECTORY = "assets"
EXTRA_ASSETS_DIRECTORY = "assets.extra"
VARIABLES_DIRECTORY = "variables"
VARIABLES_FILENAME = "variables"
DEBUG_DIRECTORY = "debug"
DEBUG_INFO_FILENAME_PB = "saved_model_debug_info.pb"

# --- Collections, and signatures that stand for one operation --------------------------------------------------------

ASSETS_KEY = "saved_model_assets"
LEGACY_INIT_OP_KEY = "legacy_init_op"
MAIN_OP_KEY = "saved_model_main_op"
TRAIN_OP_KEY = "saved_model_train_op"
INIT_OP_SIGNATURE_KEY = "__saved_model_init_op"
TRAIN_OP_SIGNATURE_KEY = "__saved_model_train_op"

# --- Tags ------------------------------------------------------------------------------------------------------------

SERVING = "serve"
TRAINING = "train"
EVAL = "eval"
GPU = "gpu"
TPU = "tpu"

# --- Signatures ------------------------------------------------------------------------------------------------------

DEFAULT_SERVING_SIGNATURE_DEF_KEY = "serving_default"
DEFAULT_TRAIN_SIGNATURE_DEF_KEY = "train"
DEFAULT_EVAL_SIGNATURE_DEF_KEY = "eval"
CLASSIFY_INPUTS = "inputs"
CLASSIFY_METHOD_NAME = "tensorflow/serving/classify"
CLASSIFY_OUTPUT_CLASSES = "classes"
CLASSIFY_OUTPUT_SCORES = "scores"
PREDICT_INPUTS = "inputs"
PREDICT_METHOD_NAME = "tensorflow/serving/predict"
PREDICT_OUTPUTS = "outputs"
REGRESS_INPUTS = "inputs"
REGRESS_METHOD_NAME = "tensorflow/serving/regress"
REGRESS_OUTPUTS = "outputs"
SUPERVISED_TRAIN_METHOD_NAME = "tensorflow/supervised/training"
SUPERVISED_EVAL_METHOD_NAME = "tensorflow/supervised/eval"

# --- Public names ----------------------------------------------------------------------------------------------------

_PUBLIC = {
    "constants": """
        ASSETS_DIRECTORY ASSETS_KEY SAVED_MODEL_FILENAME_PB SAVED_MODEL_FILENAME_PBTXT SAVED_MODEL_SCHEMA_VERSION
        VARIABLES_DIRECTORY VARIABLES_FILENAME""",
    "tag_constants": "SERVING TRAINING GPU TPU",
    "signature_constants": """
        DEFAULT_SERVING_SIGNATURE_DEF_KEY CLASSIFY_INPUTS CLASSIFY_METHOD_NAME CLASSIFY_OUTPUT_CLASSES
        CLASSIFY_OUTPUT_SCORES PREDICT_INPUTS PREDICT_METHOD_NAME PREDICT_OUTPUTS REGRESS_INPUTS REGRESS_METHOD_NAME
        REGRESS_OUTPUTS""",
}

for _module, _names in _PUBLIC.items():
    for _name in _names.split():
        export_value(__name__, _name, f"saved_model.{_name}", v1=[f"saved_model.{_module}.{_name}"])
for _name in ("LEGACY_INIT_OP_KEY", "MAIN_OP_KEY"):
    export_value(__name__, _name, v1=[f"saved_model.{_name}", f"saved_model.constants.{_name}"])
for _name in ("DEBUG_DIRECTORY", "DEBUG_INFO_FILENAME_PB"):
    export_value(__name__, _name, v2=[f"saved_model.{_name}"])
