// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
//
// Everything a C++ program needs: `find_package(vineyard)`, link `vineyard::client`, include this.
#pragma once

#include "vineyard/allocation.h"
#include "vineyard/array.h"
#include "vineyard/arrow_abi.h"
#include "vineyard/blob.h"
#include "vineyard/client.h"
#include "vineyard/ids.h"
#include "vineyard/object.h"
#include "vineyard/status.h"
#include "vineyard/stream.h"
#include "vineyard/survey.h"
#include "vineyard/table.h"
#include "vineyard/tensor.h"
#include "vineyard/typed.h"
