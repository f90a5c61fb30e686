"""Where the names of TensorFlow's private modules are found in Millstream: one table.

Programs import private modules such as `tensorflow.python.ops.math_ops`.  A key is the module's path below
`tensorflow.python`; its value says where a name is looked up, in this order:

    tf, tf.nn, ...          a public namespace of the installed API; a key with just one of these and a star
                            stands for its sub-modules too
    millstream.x.y, inspect a module
    name=tf.a.b             one name that is called otherwise in public

The `gen_*_ops` modules need no row: their functions are the raw operations.  A name with a suffix such as
`_v1` or `V2` that is not found is looked up without it in that version's public namespaces.
"""
from __future__ import annotations

PYTHON = {
    "": "tf",
    # framework
    "framework.constant_op": "tf",
    "framework.convert_to_constants": """
        millstream.graph_util.freeze_function
        convert_variables_to_constants_from_session_graph=tf.graph_util.convert_variables_to_constants
        tf.graph_util tf""",
    "framework.device": "tf millstream.core.device",
    "framework.device_spec": "tf millstream.core.device",
    "framework.dtypes": "tf tf.dtypes millstream.core.dtypes",
    "framework.errors": "tf.errors tf millstream.core.errors",
    "framework.errors_impl": "tf.errors tf millstream.core.errors",
    "framework.function": "tf",
    "framework.graph_io": "tf.io tf.train",
    "framework.graph_util": "tf.graph_util millstream.graph_util.parts millstream.graph_util.freeze",
    "framework.graph_util_impl": "tf.graph_util millstream.graph_util.parts millstream.graph_util.freeze",
    "framework.importer": "tf tf.graph_util",
    "framework.indexed_slices": "tf millstream.core.indexed_slices",
    "framework.load_library": "tf",
    "framework.meta_graph": "millstream.train.meta_graph_scopes",
    "framework.ops": """
        tf millstream.core.graph millstream.core.convert millstream.core.conversion millstream.train.collection_defs""",
    "framework.random_seed": "tf tf.random",
    "framework.smart_cond": "millstream.ops.smart_cond",
    "framework.sparse_tensor": "tf tf.sparse",
    "framework.tensor_shape": "tf tf.compat millstream.core.shapes",
    "framework.tensor_spec": "tf",
    "framework.tensor_util": """
        tf MakeNdarray=tf.make_ndarray millstream.core.static_values""",
    "framework.test_util": "tf.test TensorFlowTestCase=tf.test.TestCase",
    "framework.type_spec": "tf",
    "framework.versions": "tf.version tf",
    # ops
    "ops.array_ops": "tf tf.manip tf.nn tf.image tf.quantization",
    "ops.bitwise_ops": "tf.bitwise",
    "ops.candidate_sampling_ops": "tf.nn tf.random",
    "ops.check_ops": "tf tf.debugging tf.math",
    "ops.clip_ops": "tf",
    "ops.confusion_matrix": "tf tf.math",
    "ops.control_flow_ops": "tf tf.debugging millstream.ops.control_flow_ops",
    "ops.critical_section_ops": "tf",
    "ops.ctc_ops": "tf.nn",
    "ops.custom_gradient": "tf",
    "ops.data_flow_ops": "tf tf.queue tf.io tf.sparse",
    "ops.distributions": "tf.distributions",
    "ops.distributions.distributions": "tf.distributions",
    "ops.embedding_ops": "tf.nn",
    "ops.functional_ops": "tf",
    "ops.gradient_checker": "tf.test",
    "ops.gradients": "tf",
    "ops.gradients_impl": "tf millstream.core.gradients",
    "ops.histogram_ops": "tf",
    "ops.image_ops": "tf.image tf.io",
    "ops.image_ops_impl": "tf.image tf.io",
    "ops.init_ops": """
        tf tf.initializers identity_initializer=tf.initializers.identity millstream.ops.init_ops""",
    "ops.initializers_ns": "tf.initializers",
    "ops.io_ops": "tf tf.io",
    "ops.linalg_ops": "tf tf.linalg",
    "ops.linalg": "tf.linalg",
    "ops.linalg.linalg": "tf.linalg",
    "ops.logging_ops": "tf",
    "ops.lookup_ops": "tf tf.lookup tf.lookup.experimental tf.initializers",
    "ops.losses": "tf.losses",
    "ops.losses.losses": "tf.losses",
    "ops.losses.losses_impl": "tf.losses",
    "ops.losses.util": "tf.losses",
    "ops.manip_ops": "tf tf.manip",
    "ops.map_fn": "tf",
    "ops.math_ops": """
        tf tf.math tf.linalg tf.dtypes tf.debugging tf.nn floor_mod=tf.floormod neg=tf.negative
        next_after=tf.math.nextafter real_div=tf.realdiv sparse_mat_mul=tf.sparse_matmul
        truncate_div=tf.truncatediv truncate_mod=tf.truncatemod""",
    "ops.metrics": "tf.metrics",
    "ops.metrics_impl": "tf.metrics",
    "ops.nn": "tf.nn tf.math tf.random tf",
    "ops.nn_impl": "tf.nn tf.linalg tf.math",
    "ops.nn_ops": "tf.nn tf.math",
    "ops.numerics": "tf tf.debugging",
    "ops.parsing_ops": "tf tf.io",
    "ops.partitioned_variables": "tf",
    "ops.random_ops": "tf tf.random tf.image",
    "ops.resource_variable_ops": "tf millstream.core.resource_variables",
    "ops.resources": "millstream.ops.resources",
    "ops.rnn": "tf.nn",
    "ops.rnn_cell": "tf.nn.rnn_cell",
    "ops.rnn_cell_impl": "tf.nn.rnn_cell",
    "ops.script_ops": "tf",
    "ops.session_ops": "tf",
    "ops.sets": "tf.sets",
    "ops.signal": "tf.signal",
    "ops.signal.signal": "tf.signal",
    "ops.sort_ops": "tf",
    "ops.sparse_ops": "tf tf.io tf.sparse",
    "ops.special_math_ops": "tf tf.math tf.linalg",
    "ops.spectral_ops": "tf.signal tf.spectral",
    "ops.standard_ops": "tf tf.math tf.debugging tf.io tf.linalg",
    "ops.state_ops": "tf millstream.ops.state_ops",
    "ops.stateless_random_ops": """
        tf.random stateless_random_uniform=tf.random.stateless_uniform
        stateless_random_normal=tf.random.stateless_normal""",
    "ops.string_ops": """
        tf tf.strings tf.io tf.dtypes string_format=tf.strings.format string_length=tf.strings.length
        string_lower=tf.strings.lower string_upper=tf.strings.upper""",
    "ops.summary_ops_v2": "tf.summary",
    "ops.template": "tf",
    "ops.tensor_array_ops": "tf",
    "ops.variable_scope": """
        tf millstream.core.variable_scope
        _PartitionInfo=millstream.core.partitioned_variable.PartitionInfo""",
    "ops.variables": "tf millstream.core.variables millstream.core.partitioned_variable",
    # running
    "client.client_lib": "tf tf.errors",
    "client.device_lib": "list_local_devices=millstream.runtime.devices.list_devices",
    "client.session": "tf millstream.runtime.session",
    "client.timeline": "millstream.runtime.timeline",
    "eager.backprop": "tf",
    "eager.context": "tf tf.config.experimental millstream.core.context",
    "eager.def_function": "tf",
    "eager.function": "tf",
    # training
    **dict.fromkeys(
        """
        training.adadelta training.adagrad training.adagrad_da training.adam
        training.checkpoint_management training.checkpoint_utils training.coordinator training.device_setter
        training.ftrl training.gradient_descent training.input training.learning_rate_decay training.momentum
        training.optimizer training.proximal_adagrad
        training.proximal_gradient_descent training.queue_runner training.queue_runner_impl training.rmsprop
        training.server_lib training.sync_replicas_optimizer
        """.split(),
        "tf.train",
    ),
    "training.basic_loops": "tf.train millstream.train.basic_loops",
    "training.basic_session_run_hooks": """
        tf.train tf.summary millstream.train.checkpoint_hooks millstream.train.logging_hooks
        millstream.train.step_hooks millstream.train.step_timer millstream.train.summary_hooks
        millstream.train.value_hooks""",
    "training.evaluation": """
        millstream.contrib.training.evaluation
        _StopAfterNEvalsHook=millstream.contrib.training.evaluation.StopAfterNEvalsHook
        _get_or_create_eval_step=millstream.contrib.training.evaluation.get_or_create_eval_step
        _evaluate_once=millstream.contrib.training.evaluation.evaluate_once""",
    "training.session_manager": "tf.train millstream.train.session_manager",
    "training.session_run_hook": "tf.train millstream.train.session_run_hook",
    "training.warm_starting_util": "tf.train millstream.train.warm_start",
    "training.moving_averages": "tf.train millstream.train.moving_averages",
    "training.monitored_session": """
        tf.train millstream.train.monitored_session millstream.train.session_layers
        millstream.train.session_creators""",
    "training.supervisor": "tf.train millstream.train.supervisor",
    "training.saver": """
        tf.train millstream.train.saver millstream.train.meta_graph_import
        _import_meta_graph_with_return_elements=millstream.train.meta_graph_import.import_with_elements""",
    "training.slot_creator": "millstream.train.slot_creator",
    "training.summary_io": """
        tf.train tf.summary SummaryWriter=millstream.summary.file_writer.FileWriter
        SummaryWriterCache=millstream.summary.file_writer.FileWriterCache""",
    "training.tracking.base": "millstream.core.trackable",
    "training.tracking.data_structures": "millstream.core.trackable_containers millstream.core.trackable",
    "training.tracking.python_state": "tf.train.experimental",
    "training.tracking.tracking": "millstream.core.trackable",
    "training.tracking.util": "tf.train millstream.contrib.checkpoint.inspection millstream.train.checkpoint_status",
    "training.training": "tf.train tf.io",
    "training.training_util": "tf.train millstream.train.training_util",
    # files, formats
    "lib.io.file_io": """
        FileIO=tf.gfile.GFile file_exists=tf.gfile.Exists delete_file=tf.gfile.Remove
        get_matching_files=tf.gfile.Glob create_dir=tf.gfile.MkDir recursive_create_dir=tf.gfile.MakeDirs
        copy=tf.gfile.Copy rename=tf.gfile.Rename
        delete_recursively=tf.gfile.DeleteRecursively is_directory=tf.gfile.IsDirectory
        list_directory=tf.gfile.ListDirectory walk=tf.gfile.Walk stat=tf.gfile.Stat""",
    "lib.io.python_io": "tf.io tf.python_io",
    "lib.io.tf_record": "tf.io tf.python_io",
    "saved_model": "tf.saved_model*",
    "saved_model.builder_impl": "tf.saved_model.builder tf.saved_model millstream.saved_model.builder",
    "saved_model.constants": "millstream.saved_model.constants",
    "saved_model.loader_impl": """
        tf.saved_model.loader tf.saved_model millstream.saved_model.loader millstream.saved_model.assets
        millstream.saved_model.folders""",
    "saved_model.main_op_impl": "tf.saved_model.main_op",
    "saved_model.method_name_updater": "millstream.saved_model.method_names",
    "saved_model.path_helpers": """
        get_assets_dir=millstream.saved_model.folders.assets_folder
        get_variables_dir=millstream.saved_model.folders.variables_folder
        get_variables_path=millstream.saved_model.folders.variables_prefix""",
    "saved_model.signature_constants": "millstream.saved_model.constants",
    "saved_model.signature_def_utils": """
        tf.saved_model.signature_def_utils millstream.saved_model.signature_defs millstream.saved_model.method_names""",
    "saved_model.signature_def_utils_impl": "tf.saved_model.signature_def_utils millstream.saved_model.signature_defs",
    "saved_model.simple_save": "tf.saved_model",
    "saved_model.tag_constants": "millstream.saved_model.constants",
    "saved_model.utils": "tf.saved_model.utils millstream.saved_model.tensor_info",
    "saved_model.utils_impl": """
        tf.saved_model.utils tf.saved_model millstream.saved_model.tensor_info
        get_assets_dir=millstream.saved_model.folders.assets_folder
        get_variables_dir=millstream.saved_model.folders.variables_folder
        get_variables_path=millstream.saved_model.folders.variables_prefix""",
    "tools.inspect_checkpoint": "millstream.cli.inspect_checkpoint",
    "tools.freeze_graph": "millstream.graph_util.freeze_files",
    "tools.optimize_for_inference_lib": "millstream.graph_util.inference",
    "tools.strip_unused_lib": "millstream.graph_util.inference",
    "tools.saved_model_cli": "millstream.cli.saved_model millstream.saved_model.inspection",
    "tools.saved_model_utils": "millstream.saved_model.inspection",
    "summary": "tf.summary",
    "summary.summary": "tf.summary tf",
    "summary.summary_iterator": "tf.train",
    "summary.writer.writer": "tf.summary",
    "summary.writer.writer_cache": "tf.summary",
    # platform, util
    "platform.app": "tf.app",
    "platform.flags": "tf.flags absl.flags",
    "platform.gfile": "tf.gfile tf.io.gfile",
    "platform.googletest": "tf.test",
    "platform.resource_loader": "tf.resource_loader",
    "platform.sysconfig": "tf.sysconfig",
    "platform.test": "tf.test",
    "platform.tf_logging": "tf.logging tf",
    "util.all_util": "millstream.compat.utilities",
    "util.compat": "tf.compat",
    "util.deprecation": "millstream.compat.utilities",
    "util.lazy_loader": "millstream.compat.utilities",
    "util.nest": "tf.nest millstream.core.nest",
    "util.tf_contextlib": "contextlib",
    "util.tf_export": "millstream.compat.utilities",
    "util.tf_inspect": "inspect",
    # larger parts, with their sub-modules
    "autograph": "tf.autograph*",
    "data": "tf.data*",
    "data.ops.dataset_ops": "tf.data Iterator=tf.data.Iterator",
    "data.ops.iterator_ops": "tf.data",
    "data.ops.readers": "tf.data",
    "distribute": "tf.distribute*",
    "estimator": "tf.estimator*",
    "feature_column": "tf.feature_column*",
    "feature_column.feature_column": "tf.feature_column",
    "feature_column.feature_column_lib": "tf.feature_column",
    "feature_column.feature_column_v2": "tf.feature_column",
    "keras": "tf.keras*",
    "layers": "tf.layers*",
    "layers.base": "tf.layers",
    "layers.convolutional": "tf.layers",
    "layers.core": "tf.layers",
    "layers.layers": "tf.layers",
    "layers.normalization": "tf.layers",
    "layers.pooling": "tf.layers",
    "profiler": "tf.profiler*",
}

# Modules outside of `tensorflow.python`.
OTHERS = {
    "contrib.framework.python.framework": "tf.contrib.framework",
    "contrib.framework.python.framework.checkpoint_utils": "tf.contrib.framework",
    "contrib.framework.python.framework.tensor_util": "tf.contrib.framework",
    "contrib.framework.python.ops": "tf.contrib.framework",
    "contrib.framework.python.ops.variables": "tf.contrib.framework",
    "contrib.layers.python.layers": "tf.contrib.layers",
    "contrib.layers.python.layers.embedding_ops": "tf.contrib.layers",
    "contrib.layers.python.layers.encoders": "tf.contrib.layers",
    "contrib.layers.python.layers.initializers": "tf.contrib.layers",
    "contrib.layers.python.layers.layers": "tf.contrib.layers",
    "contrib.layers.python.layers.normalization": "tf.contrib.layers",
    "contrib.layers.python.layers.optimizers": "tf.contrib.layers millstream.contrib.layers.optimizers",
    "contrib.layers.python.layers.regularizers": "tf.contrib.layers",
    "contrib.layers.python.layers.summaries": "tf.contrib.layers",
    "contrib.layers.python.layers.utils": """
        millstream.contrib.layers.scopes constant_value=tf.contrib.framework.smart_constant_value
        smart_cond=tf.contrib.framework.smart_cond
        """,
    "examples.tutorials.mnist.input_data": "millstream.compat.mnist",
    "contrib.learn.python.learn.datasets.mnist": "millstream.compat.mnist",
    "contrib.learn.python.learn.datasets.base": "millstream.compat.mnist",
    "contrib.learn.datasets.mnist": "millstream.compat.mnist",
}

# Generated protobuf modules: each gives all messages and enums, wherever TensorFlow declares them.
PROTOBUF = """
    contrib.tensorboard.plugins.projector.projector_config_pb2
    core.example.example_pb2 core.example.feature_pb2
    core.framework.allocation_description_pb2 core.framework.attr_value_pb2 core.framework.function_pb2
    core.framework.graph_pb2 core.framework.node_def_pb2 core.framework.op_def_pb2
    core.framework.resource_handle_pb2 core.framework.step_stats_pb2 core.framework.summary_pb2
    core.framework.tensor_pb2 core.framework.tensor_description_pb2 core.framework.tensor_shape_pb2
    core.framework.tensor_slice_pb2 core.framework.types_pb2 core.framework.variable_pb2
    core.framework.versions_pb2
    core.protobuf.cluster_pb2 core.protobuf.config_pb2 core.protobuf.control_flow_pb2
    core.protobuf.error_codes_pb2 core.protobuf.meta_graph_pb2 core.protobuf.queue_runner_pb2
    core.protobuf.rewriter_config_pb2 core.protobuf.saved_model_pb2 core.protobuf.saved_object_graph_pb2
    core.protobuf.saver_pb2 core.protobuf.struct_pb2 core.protobuf.tensor_bundle_pb2
    core.protobuf.tensorflow_server_pb2 core.protobuf.trackable_object_graph_pb2
    core.lib.core.error_codes_pb2 core.util.event_pb2
    python.training.checkpoint_state_pb2
""".split()

SOURCES = {
    **{f"python.{path}".rstrip("."): words for path, words in PYTHON.items()},
    **OTHERS,
    **dict.fromkeys(PROTOBUF, "millstream.io.proto"),
}
