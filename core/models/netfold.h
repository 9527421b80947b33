/* models/netfold.h — simplifications of a network under construction; each keeps what the network computes. */
#ifndef MIEN_MODELS_NETFOLD_H
#define MIEN_MODELS_NETFOLD_H

#include "models/netbuild.h"

/* Affine nodes (batch norm) go into the linear layer before them, uniform scales into the sum behind them, activations into
 * the node before them, all where nothing else reads the value in between; nodes that nobody reads die. */
int mieni_build_fold(MieniBuild *b);

/* Drops dead nodes from the list. */
void mieni_build_compact(MieniBuild *b);

#endif
