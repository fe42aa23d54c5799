//===- PictureFolder.h - A folder of pictures a class ---------------------===//
#ifndef DIT_RUNTIME_DATA_PICTUREFOLDER_H
#define DIT_RUNTIME_DATA_PICTUREFOLDER_H

#include "runtime/data/Dataset.h"

namespace dit::runtime {

/// Whether the folder has folders.
bool isPictureFolder(llvm::StringRef folder);

/// Opens FOLDER/CLASS/NAME.{png,jpg,jpeg}: the classes are the folders' names
/// in their order as bytes. Pictures are scaled and cut to the model's size
/// (cropToSquare) when they are read; gray ones serve a model of three
/// channels, too. Exit::Contradiction for models that are not square, or that
/// have fewer classes.
llvm::Expected<std::unique_ptr<Dataset>>
openPictureFolder(llvm::StringRef folder, DatasetPart part,
                  const SampleShape &shape);

/// Writes a picture as a sample of the model's size. Errors are a bad
/// sample's.
llvm::Error writePictureSample(llvm::ArrayRef<uint8_t> file,
                               const SampleShape &shape,
                               llvm::MutableArrayRef<float> sample);

/// The same with a picture's file.
llvm::Error readPictureFile(llvm::StringRef path, const SampleShape &shape,
                            llvm::MutableArrayRef<float> sample);

/// Exit::Contradiction where a model does not take square pictures of one or
/// three channels.
llvm::Error checkTakesPictures(const SampleShape &shape);

} // namespace dit::runtime

#endif // DIT_RUNTIME_DATA_PICTUREFOLDER_H
